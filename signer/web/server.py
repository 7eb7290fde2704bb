"""The signer as a process: two listeners, and an orderly end on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from signer.definitions.registry import Registry
from signer.environment import Environment
from signer.service import Service
from signer.web.admin import admin_app
from signer.web.public import public_app

log = logging.getLogger("oss_signer")

_SETTLE_SECONDS = 10.0
_SHUTDOWN_SECONDS = 5.0
_KEEPALIVE_SECONDS = 75.0
"""Above nginx's own 60 s, so that it is never we who close a connection it is about to use."""


class CannotListen(Exception):
    """An address is taken or not ours; the text says which."""


@contextlib.contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """A bound socket for `host:port`; port 0 takes a free one. Raises `CannotListen`."""
    host, _, port = address.rpartition(":")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=1024)
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {error.strerror}; set server.listen or server.admin") from None
    with sock:
        yield sock


async def serve(
    registry: Registry,
    environment: Environment,
    *,
    extend: Callable[[web.Application, Service], Awaitable[None]] | None = None,
    started: Callable[[str, str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT.

    `extend` may add routes to the public application; `started` is told the public and admin URLs.
    Raises `CannotListen`.
    """
    stop = asyncio.Event()
    with listening(registry.server.listen) as public, listening(registry.server.admin) as admin:
        service = Service(registry, environment)
        runners: list[web.AppRunner] = []
        try:
            public_application = public_app(service)
            if extend is not None:
                await extend(public_application, service)
            runners += [_runner(public_application), _runner(admin_app(service))]
            with _stopping_on_signals(stop):
                for runner, sock in zip(runners, (public, admin), strict=True):
                    await runner.setup()
                    await web.SockSite(runner, sock).start()
                log.info("listening", extra={"public": _url(public), "admin": _url(admin)})
                if started is not None:
                    started(_url(public), _url(admin))
                await service.settle(_SETTLE_SECONDS)
                log.info("ready", extra={"apps": len(registry.apps), "roles": len(service.role_states())})
                await stop.wait()
                log.info("stopping")
        finally:
            for runner in runners:
                await runner.cleanup()
            await service.close()
            log.info("stopped")


def _runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS, keepalive_timeout=_KEEPALIVE_SECONDS)


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _stopping_on_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    wanted = (signal.SIGTERM, signal.SIGINT)
    try:
        for number in wanted:
            loop.add_signal_handler(number, stop.set)
    except NotImplementedError:
        # Windows' loops have no signal handlers; Ctrl-C still ends the process.
        for number in wanted:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        yield
        return
    try:
        yield
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)
