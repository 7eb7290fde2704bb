"""Step `listen`: are the addresses free, or held by a running oss-signer already."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from pathlib import Path

import aiohttp

from signer.definitions import model
from signer.doctor.findings import About, Finding
from signer.doctor.http_probe import Asking, NoAnswer
from signer.listen_address import ListenAddress

_FIRST_FREE_PORT = 1024
_OURS = (200, 401)
"""401: where the admin routes want a token."""


async def listen(asking: Asking, server: model.Server) -> list[Finding]:
    return [
        await _address(asking, "server.listen", server.listen, "/openapi.json", tls=server.tls is not None),
        await _address(asking, "server.admin", server.admin, "/healthz"),
    ]


async def _address(asking: Asking, key: str, address: str, path: str, *, tls: bool = False) -> Finding:
    """`path` is one that our own service answers there."""
    about = About("listen", f"{key} {address}")
    listen_address = ListenAddress.parse(address)
    if listen_address.path is not None:
        return await asyncio.to_thread(_unix, about, listen_address.path) or await _held(about, listen_address.path)
    if listen_address.port == 0:
        return about.ok("takes any free port")
    try:
        with _bound(listen_address):
            return about.ok("is free")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return about.failed(f"cannot be listened on: {_words(error)}", _mend(error, key, listen_address.port))
    try:
        # Who it is matters here; its certificate is for other names than this address.
        answer = await asking.get(f"{listen_address.url(tls=tls)}{path}", ssl=False)
        if answer.status in _OURS and "x-request-id" in answer.headers:
            return about.ok("is held by an oss-signer that runs already")
        what = "is held by another service"
    except NoAnswer:
        what = "is held by something that does not answer as oss-signer"
    return about.failed(
        what, f"see who: ss -ltnp 'sport = :{listen_address.port}'; stop it, or write another port in {key}"
    )


def _bound(address: ListenAddress) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


def _words(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _mend(error: OSError, key: str, port: int) -> str:
    if error.errno in (errno.EACCES, errno.EPERM) and port < _FIRST_FREE_PORT:
        return f"AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or a port from 1024 on in {key}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"write an address of this machine in {key} (ip address), or 0.0.0.0"
    return f"write another address in {key}"


def _unix(about: About, path: Path) -> Finding | None:
    """None for a socket that is there."""
    if not path.parent.is_dir():
        return about.failed(
            "its directory does not exist", f"RuntimeDirectory= in the unit, or: install -d -o oss-signer {path.parent}"
        )
    if path.exists():
        if not stat.S_ISSOCK(path.stat().st_mode):
            return about.failed("is another kind of file", f"move it away, or write another path: {path}")
        return None
    if not os.access(path.parent, os.W_OK):
        return about.failed("this user may not make it", f"chown oss-signer {path.parent}")
    return about.ok("is free")


async def _held(about: About, path: Path) -> Finding:
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), timeout=timeout) as session,
            session.get("http://oss-signer/healthz") as answer,
        ):
            if answer.status in _OURS and "X-Request-Id" in answer.headers:
                return about.ok("is held by an oss-signer that runs already")
    except ConnectionRefusedError:
        return about.ok("was left behind by one that has ended; the next start takes it over")
    except (TimeoutError, aiohttp.ClientConnectorError) as error:
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
            return about.ok("was left behind by one that has ended; the next start takes it over")
        return about.failed("is held by something that does not answer as oss-signer", f"see who: ss -lxp src {path}")
    except (aiohttp.ClientError, OSError):
        pass
    return about.failed("is held by another service", f"see who: ss -lxp src {path}; or write another path")
