"""Debian's nginx as a process of our own, with the site of deploy/nginx between clients and signers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import ROOT
from tests.https.certificates import Certbot

SITE = ROOT / "deploy/nginx/oss-signer.conf"

MAIN = """\
daemon off;
master_process off;
error_log stderr warn;
pid {prefix}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    include {prefix}/site.conf;
}}
"""


@dataclass
class Nginx:
    http: str
    https: str
    said: list[str]
    log: Path
    """A JSON object for each request."""

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


def binary() -> str:
    """Skips where there is none."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        missing = "nginx is not installed: apt-get install nginx-light"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def site(text: str, upstreams: Sequence[str], files: Certbot, log: Path, http: int, https: int) -> str:
    """The site with the addresses and files of a test in place of those of a machine."""
    for written, real in (
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("listen 80;", f"listen 127.0.0.1:{http};"),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{https} ssl http2;"),
        ("server 127.0.0.1:5000 ", f"server {upstreams[0]} "),
        ("server 127.0.0.1:5001 ", f"server {upstreams[1]} "),
        ("/etc/letsencrypt/live/upload.example.com/fullchain.pem", str(files.certificate)),
        ("/etc/letsencrypt/live/upload.example.com/privkey.pem", str(files.key)),
        ("/var/log/nginx/oss-signer.log", str(log)),
        ("client_body_timeout 10s;", "client_body_timeout 1s;"),
    ):
        assert text.count(written) == 1, written
        text = text.replace(written, real)
    return text


@contextlib.asynccontextmanager
async def nginx(prefix: Path, upstreams: Sequence[str], files: Certbot) -> AsyncIterator[Nginx]:
    """Once it listens; `upstreams` are `host:port` or `unix:/path`."""
    command = binary()
    http, https = _free_ports(2)
    (prefix / "site.conf").write_text(
        site(SITE.read_text(encoding="utf-8"), upstreams, files, prefix / "requests.log", http, https), encoding="utf-8"
    )
    (prefix / "nginx.conf").write_text(MAIN.format(prefix=prefix), encoding="utf-8")
    arguments = (command, "-p", str(prefix), "-c", str(prefix / "nginx.conf"))
    process = await asyncio.create_subprocess_exec(*arguments, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    said: list[str] = []

    async def read(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            said.append(line.decode())

    reading = asyncio.create_task(read(process.stderr))
    try:
        async with asyncio.timeout(30):
            while not await _answers(https):
                assert process.returncode is None, "".join(said)
                await asyncio.sleep(0.02)
        yield Nginx(f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}", said, prefix / "requests.log")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await reading


@dataclass
class Relay:
    """Between nginx and a signer, to count the connections."""

    address: str
    connections: int = 0


@contextlib.asynccontextmanager
async def relay(port: int) -> AsyncIterator[Relay]:
    """To `port` of this machine."""
    tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        try:
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, onward), carry(onward_reader, writer))

    def began(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(connected(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(began, "127.0.0.1", 0)
    found = Relay(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield found
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in sockets]


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
