"""The signer as a process: two listeners, and an orderly end on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from signer.callbacks.rules import CallbackRules
from signer.reload import Reloader
from signer.service import Service
from signer.web.admin import Admin
from signer.web.callback import callback_handler
from signer.web.exchange import Exchange
from signer.web.front import Front
from signer.web.listeners import runner
from signer.web.public import Public
from signer.web.request_log import RequestLog
from signer.web.routing import Routes
from signer.web.wishes import MAX_BODY_BYTES

log = logging.getLogger("oss_signer")

_SETTLE_SECONDS = 10.0
_BACKLOG = 4096
"""Connections that the system accepts for us while we are busy; it may have a lower limit (net.core.somaxconn)."""


class CannotListen(Exception):
    """An address is taken or not ours; the text says which."""


@contextlib.contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """A bound socket for `host:port`; port 0 takes a free one. Raises `CannotListen`."""
    host, _, port = address.rpartition(":")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {error.strerror}; set server.listen or server.admin") from None
    with sock:
        yield sock


async def serve(
    service: Service,
    reloader: Reloader,
    *,
    extend: Callable[[Routes, Service], Awaitable[None]] | None = None,
    started: Callable[[str, str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT.

    `extend` may add routes to the public ones; `started` is told the public and admin URLs.
    Raises `CannotListen`.
    """
    stop = asyncio.Event()
    server = service.current.registry.server
    async with contextlib.AsyncExitStack() as stack:
        public, admin = (stack.enter_context(listening(each)) for each in (server.listen, server.admin))
        following = asyncio.create_task(reloader.follow(), name="follow the store")
        request_log = RequestLog()
        runners: list[web.ServerRunner] = []
        try:
            receiver = await stack.enter_async_context(service.taking_callbacks())
            routes = Public(service).routes()
            routes.add("POST", "/v1/apps/{app_id}/callback", callback_handler(receiver, _callback_rules))
            if extend is not None:
                await extend(routes, service)
            admin_routes = Admin(service, reloader).routes()
            with _on_signals(stop, reloader):
                for each, sock in ((routes, public), (admin_routes, admin)):
                    runners.append(runner(Front(service, each, request_log), max_body_bytes=MAX_BODY_BYTES))
                    await runners[-1].setup()
                    await web.SockSite(runners[-1], sock, backlog=_BACKLOG).start()
                log.info("listening", extra={"public": _url(public), "admin": _url(admin)})
                if started is not None:
                    started(_url(public), _url(admin))
                stopped = asyncio.create_task(stop.wait())
                settled = asyncio.create_task(service.settle(_SETTLE_SECONDS))
                await asyncio.wait((stopped, settled), return_when=asyncio.FIRST_COMPLETED)
                if not stop.is_set():
                    registry = service.current.registry
                    log.info("ready", extra={"apps": len(registry.apps), "roles": len(service.role_states())})
                settled.cancel()
                await stopped
                log.info("stopping")
        finally:
            following.cancel()
            for each_runner in runners:
                await each_runner.cleanup()
            await request_log.close()
            log.info("stopped")


def _callback_rules(exchange: Exchange) -> CallbackRules | None:
    """Of an app that is switched off too: its uploads did happen."""
    app = exchange.revision.registry.apps.get(exchange.parameter)
    return None if app is None else app.callback


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _on_signals(stop: asyncio.Event, reloader: Reloader) -> Iterator[None]:
    """SIGTERM and SIGINT end it, SIGHUP reloads."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task: asyncio.Task[object] = asyncio.create_task(reloader.reload("SIGHUP"))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    ending = (signal.SIGTERM, signal.SIGINT)
    try:
        for number in ending:
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, reload)
    except (NotImplementedError, AttributeError):
        # Windows' loops have no signal handlers; Ctrl-C still ends the process.
        for number in ending:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        yield
        return
    try:
        yield
    finally:
        for number in (*ending, signal.SIGHUP):
            loop.remove_signal_handler(number)
