"""How long does a phone need for nine photos, and for a large video? `python -m bench.phone`

The phone has a line of 20 Mbit/s and a round trip of 80 ms. While it sends the video, all its connections break
every 20 MB. The clients are the library with this signer, and the documented sample of Alibaba with its own server.
The limit is the time that the bytes of the files take on the line.

See: https://help.aliyun.com/document_detail/92883.html
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bounds import Bound, as_json, bounds_table, compare
from bench.errors import CannotMeasure
from bench.http_client import call
from bench.phone_line import PhoneLine
from bench.processes import ROOT, Cloud, Server, listening, local_cloud, signer
from bench.results import write_result
from bench.rounds import Rows
from bench.tables import Table

MEGABYTE = 1_000_000
BYTES_PER_SECOND = 20 * MEGABYTE / 8
ROUND_TRIP_SECONDS = 0.08
RESET_AFTER_BYTES = 20 * MEGABYTE
CLIENTS = {"library": "the library and this signer", "sample": "the documented sample"}

_BUCKET = "photos-0"
_TIMEOUT_SECONDS = 600
_DEFINITIONS = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", secret: {secret}}}
credentials: {{uploader: {{type: ecs_ram_role, endpoint: {cloud.metadata}}}}}
defaults: {{region: cn-hangzhou, credentials: uploader, oss_endpoint: {cloud.oss}}}
apps:
  phone:
    bucket: {bucket}
    domain: {line}
    key_prefix: photos/
    max_size: 20MiB
    multipart: {{max_size: 2GiB}}
"""


@dataclass(frozen=True, slots=True)
class Files:
    """What the phone sends, and on which line."""

    title: str
    count: int
    size_bytes: int
    reset_after_bytes: int | None = None

    @property
    def limit_seconds(self) -> float:
        """Return the time that these bytes take on the line."""
        return self.count * self.size_bytes / BYTES_PER_SECOND


FILES = {
    "photos": Files("nine photos of 3 MB", 9, 3 * MEGABYTE),
    "video": Files("200 MB video, reset every 20 MB", 1, 200 * MEGABYTE, RESET_AFTER_BYTES),
}
BOUNDS = (
    Bound("photos, library / limit", lambda rows: rows["photos/library"]["to_limit"], max_value=1.10),
    Bound("video, library / limit", lambda rows: rows["video/library"]["to_limit"], max_value=1.15),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m bench.phone", description=__doc__)
    parser.add_argument("--files", choices=FILES, help="measure only these; default: all")
    options = parser.parse_args(arguments)
    load_average = os.getloadavg()[0]
    rows: Rows = {}
    try:
        if shutil.which("node") is None:
            raise CannotMeasure("the clients run in Node.js; install node, of Debian's package nodejs for example")
        for name in [options.files] if options.files else FILES:
            for client in CLIENTS:
                rows[f"{name}/{client}"] = asyncio.run(_measure(FILES[name], client))
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(table(rows).text() + bounds_table(compare(BOUNDS, rows)).text())
    write_result("phone", {"load_average_before": load_average, "rows": rows, "bounds": as_json(BOUNDS, rows)})
    return 0


def table(rows: Rows) -> Table:
    """Return the rows as a table."""
    head = ("", "seconds", "to the limit", "MB sent", "of the files", "connections broken", "stored")
    return Table(head, [(_title(name), *_cells(name, row)) for name, row in rows.items()])


def bars(rows: Rows) -> list[tuple[str, float, bool]]:
    """Return the bars of a chart; a client that did not store all files has none."""
    result = []
    for kind, files in FILES.items():
        result.append((f"{files.title}: limit", files.limit_seconds, False))
        for client in CLIENTS:
            row = rows[f"{kind}/{client}"]
            is_stored = row["stored"] == files.count
            result.append(
                (f"{CLIENTS[client]}{'' if is_stored else ': never'}", row["seconds"] * is_stored, client == "library")
            )
    return result


def _title(name: str) -> str:
    files, _, client = name.partition("/")
    return f"{FILES[files].title}: {CLIENTS[client]}"


def _cells(name: str, row: dict[str, float]) -> tuple[str, ...]:
    stored = f"{row['stored']:.0f} of {FILES[name.partition('/')[0]].count}"
    figures = (f"{row['seconds']:.1f}", f"{row['to_limit']:.2f}", f"{row['sent_bytes'] / MEGABYTE:.1f}")
    return (*figures, f"{row['sent_to_file_bytes']:.2f}", f"{row['resets']:.0f}", stored)


async def _measure(files: Files, client: str) -> dict[str, float]:
    """Send the files with a client; return the time, the bytes on the line, and how many files were stored."""
    line = PhoneLine(BYTES_PER_SECOND, ROUND_TRIP_SECONDS, files.reset_after_bytes)
    with local_cloud() as cloud, tempfile.TemporaryDirectory() as directory:
        call(f"{cloud.oss}/-/buckets", method="POST", body={"name": _BUCKET, "region": "cn-hangzhou"})
        paths = [_new_file(Path(directory), number, files.size_bytes) for number in range(files.count)]
        async with line.to(cloud.oss) as oss:
            bucket = f"{oss}/{_BUCKET}"
            if client == "library":
                text = _DEFINITIONS.format(secret=secrets.token_hex(32), cloud=cloud, bucket=_BUCKET, line=bucket)
                with signer(text) as running:
                    result = await _send(line, client, running.public, bucket, paths)
            else:
                with _sample_server(cloud) as server:
                    result = await _send(line, client, server.public, bucket, paths)
    total = files.count * files.size_bytes
    return {
        "seconds": result["seconds"],
        "to_limit": result["seconds"] / files.limit_seconds,
        "sent_bytes": line.sent_bytes,
        "sent_to_file_bytes": line.sent_bytes / total,
        "resets": line.resets,
        "stored": len(result["keys"]),
    }


def _sample_server(cloud: Cloud) -> AbstractContextManager[Server]:
    command = [sys.executable, "-m", "gunicorn", "--workers", "1", "--bind", "fd://{fd}", "bench.flask_sample"]
    path = "/get_post_signature_for_oss_upload"
    return listening(command, path, core=None, environ={"OSS_STS_ENDPOINT": cloud.sts, "CREDENTIALS": "each request"})


async def _send(line: PhoneLine, client: str, server: str, bucket: str, paths: Sequence[str]) -> dict[str, Any]:
    async with line.to(server) as signer_address:
        what = json.dumps({"signer": signer_address, "bucket": bucket, "app": "phone", "files": paths})
        process = await asyncio.create_subprocess_exec(
            "node", "bench/phone_client.mjs", client, what, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode != 0:
        raise CannotMeasure(f"{client} failed with status {process.returncode}")
    result: dict[str, Any] = json.loads(out)
    for failure in result["failures"]:
        sys.stderr.write(f"{client}: {failure}\n")
    return result


def _new_file(directory: Path, number: int, size_bytes: int) -> str:
    path = directory / f"file-{number}.{'jpg' if size_bytes < RESET_AFTER_BYTES else 'mp4'}"
    with path.open("wb") as file:
        for _ in range(size_bytes // MEGABYTE):
            file.write(os.urandom(MEGABYTE))
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
