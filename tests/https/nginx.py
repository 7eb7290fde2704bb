"""Runs nginx with the site of deploy/nginx."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.ports import reserve_port
from tests.harness.processes import ROOT, launch
from tests.harness.programs import require_program
from tests.harness.waiting import wait_until
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
    """A running nginx."""

    http: str
    https: str
    errors: list[str]
    log: Path
    """One JSON object for each request."""

    def logged(self) -> list[dict[str, Any]]:
        """Return the entries of its log."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


def site(text: str, upstreams: Sequence[str], files: Certbot, log: Path, http: int, https: int) -> str:
    """Return the site with the addresses and files of a test."""
    for documented, replacement in (
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("listen 80;", f"listen 127.0.0.1:{http};"),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{https} ssl http2;"),
        ("server 127.0.0.1:5000 ", f"server {upstreams[0]} "),
        ("server 127.0.0.1:5001 ", f"server {upstreams[1]} "),
        ("/etc/letsencrypt/live/sign.example.com/fullchain.pem", str(files.certificate)),
        ("/etc/letsencrypt/live/sign.example.com/privkey.pem", str(files.key)),
        ("/var/log/nginx/oss-signer.log", str(log)),
        ("client_body_timeout 10s;", "client_body_timeout 3s;"),
    ):
        assert text.count(documented) == 1, documented
        text = text.replace(documented, replacement)
    return text


@contextlib.asynccontextmanager
async def nginx(prefix: Path, upstreams: Sequence[str], files: Certbot) -> AsyncIterator[Nginx]:
    """Run nginx before two upstreams, which are `host:port` or `unix:/path`."""
    http, https = reserve_port(), reserve_port()
    (prefix / "site.conf").write_text(
        site(SITE.read_text(encoding="utf-8"), upstreams, files, prefix / "requests.log", http, https), encoding="utf-8"
    )
    (prefix / "nginx.conf").write_text(MAIN.format(prefix=prefix), encoding="utf-8")
    async with launch(require_program("nginx"), "-p", prefix, "-c", prefix / "nginx.conf") as process:

        async def accepts() -> bool:
            assert process.returncode is None, "".join(process.errors)
            return await _accepts(https)

        await wait_until(accepts)
        yield Nginx(f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}", process.errors, prefix / "requests.log")


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
