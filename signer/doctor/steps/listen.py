"""Step `listen`: are the listen addresses free, or already used by a running oss-signer."""

import errno
import os
import socket
from pathlib import Path

import aiohttp

from signer.definitions import model
from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import HttpProbe, NoResponse
from signer.file_calls import await_with_deadline, fix_for
from signer.listen_address import ListenAddress

_FIRST_UNPRIVILEGED_PORT = 1024
_SIGNER_STATUSES = (200, 401)
"""401: the admin routes require a token."""
_RUNNING = "is used by a running oss-signer"
_LEFT_OVER = "was left by a process that has ended; the next start replaces it"
_UNKNOWN_SERVER = "is used by a server that does not respond as oss-signer"


async def check_listen(http: HttpProbe, server: model.Server) -> list[Finding]:
    """Check `server.listen`, `server.admin` and `server.health`."""
    health = [] if server.health is None else [await _check_address(http, "server.health", server.health, "/healthz")]
    return [
        *health,
        await _check_address(http, "server.listen", server.listen, "/openapi.json", tls=server.tls is not None),
        await _check_address(http, "server.admin", server.admin, "/healthz"),
    ]


async def _check_address(http: HttpProbe, key: str, text: str, path: str, *, tls: bool = False) -> Finding:
    """`path` is one that oss-signer serves at this address."""
    subject, address = Subject("listen", f"{key} {text}"), ListenAddress.parse(text)
    if address.path is not None:
        path_of_socket = address.path
        try:
            found = await await_with_deadline(path_of_socket, lambda: _check_socket_file(subject, path_of_socket))
        except OSError as error:
            return subject.failed(f"cannot be checked: {error.strerror}", fix_for(error, "check the path"))
        return found or await _check_socket_owner(subject, path_of_socket)
    if address.port == 0:
        return subject.ok("uses any free port")
    try:
        with socket.socket(address.family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address.host, address.port))
            sock.listen()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            reason = (error.strerror or type(error).__name__).lower()
            return subject.failed(f"cannot be listened on: {reason}", _fix(error, key, address.port))
    else:
        return subject.ok("is free")
    try:
        # The certificate is for other names than this address.
        response = await http.request(f"{address.url(tls=tls)}{path}", ssl=False)
        if response.status in _SIGNER_STATUSES and "x-request-id" in response.headers:
            return subject.ok(_RUNNING)
        what = "is used by another service"
    except NoResponse:
        what = _UNKNOWN_SERVER
    fix = f"find the process: ss -ltnp 'sport = :{address.port}'; stop it, or write another port in {key}"
    return subject.failed(what, fix)


def _fix(error: OSError, key: str, port: int) -> str:
    if error.errno in (errno.EACCES, errno.EPERM) and port < _FIRST_UNPRIVILEGED_PORT:
        return f"AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or a port from 1024 in {key}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"write an address of this machine in {key} (see: ip address), or 0.0.0.0"
    return f"write another address in {key}"


def _check_socket_file(subject: Subject, path: Path) -> Finding | None:
    """Return None if there is a socket at the path."""
    if not path.parent.is_dir():
        fix = f"RuntimeDirectory= in the unit, or: install -d -o oss-signer {path.parent}"
        return subject.failed("its directory does not exist", fix)
    if path.is_socket():
        return None
    if path.exists():
        return subject.failed("is not a socket", f"move it away, or write another path: {path}")
    if not os.access(path.parent, os.W_OK):
        return subject.failed("this user cannot create it", f"chown oss-signer {path.parent}")
    return subject.ok("is free")


async def _check_socket_owner(subject: Subject, path: Path) -> Finding:
    fix = f"find the process: ss -lxp src {path}; or write another path"
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), timeout=timeout) as session,
            session.get("http://oss-signer/healthz") as response,
        ):
            if response.status in _SIGNER_STATUSES and "X-Request-Id" in response.headers:
                return subject.ok(_RUNNING)
    except (aiohttp.ClientConnectorError, TimeoutError) as error:
        if isinstance(getattr(error, "os_error", None), ConnectionRefusedError):
            return subject.ok(_LEFT_OVER)
        return subject.failed(_UNKNOWN_SERVER, fix)
    except (aiohttp.ClientError, OSError):
        pass
    return subject.failed("is used by another service", fix)
