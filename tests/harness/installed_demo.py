"""Runs `oss-signer demo` as installed, and uploads a file through it with the standard library: `installed_demo.py COMMAND`."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Mapping


def post(url: str, body: bytes, content_type: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, response.read()


def multipart(fields: Mapping[str, str], content: bytes) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n')
    return "".join(
        parts
    ).encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def main(command: str) -> int:
    """Upload a file through the demo, and return 0 if OSS stored it."""
    ports = ("--port", "0", "--admin-port", "0", "--oss-port", "0")
    with subprocess.Popen([command, "demo", *ports], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            lines = iter(demo.stdout.readline, "")
            page = next(line.split()[-1] for line in lines if line.startswith("The upload page:")).rstrip("/")
            with urllib.request.urlopen(f"{page}/", timeout=30) as response:
                assert b"<script" in response.read()
            request = json.dumps({"filename": "a.jpg", "size": 5}).encode()
            status, body = post(f"{page}/v1/apps/wx1234567890abcdef/uploads", request, "application/json")
            form = json.loads(body)
            assert status == 201, form
            status, _ = post(form["url"], *multipart(form["fields"], b"photo"))
            print(f"stored {form['key']} with status {status}")
            return 0 if status in (200, 204) else 1
        finally:
            demo.terminate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
