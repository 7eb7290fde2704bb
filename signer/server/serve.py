"""The signer as a process: two listeners, and an orderly end on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from signer.admin.access import guarded
from signer.admin.routes import Admin
from signer.admin.status.routes import Status
from signer.api.callbacks import callback_handler
from signer.api.public import Public
from signer.delivery.callback_rules import CallbackRules
from signer.http.dispatch import Front
from signer.http.exchange import Exchange
from signer.http.request_log import RequestLog
from signer.http.router import Routes
from signer.listen_address import ListenAddress
from signer.live.reload import Reloader
from signer.server.listeners import drain, runner
from signer.server.signals import Signals
from signer.server.sites import Site, url_of
from signer.server.sockets import BACKLOG, listening, passed
from signer.server.supervision import Life
from signer.server.systemd_notify import ServiceManager
from signer.server.tls import certificate_in_force
from signer.service import Service

log = logging.getLogger("oss_signer")

_SETTLE_SECONDS = 10.0


async def serve(
    service: Service,
    reloader: Reloader,
    *,
    manager: ServiceManager | None = None,
    worker: int | None = None,
    drain_seconds: float = 0.0,
    extend: Callable[[Routes, Service], Awaitable[None]] | None = None,
    started: Callable[[str, str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT.

    `manager` hears how it goes; `worker` is which of several on this machine this one is, from 1. After SIGTERM the
    connections that are open have `drain_seconds` to send what they were about to. `extend` may add routes to the
    public ones; `started` is told the public and admin URLs. Raises `CannotListen`.
    """
    life = Life(service, reloader, manager or ServiceManager({}), worker)
    signals = Signals(life.reload)
    server = service.current.registry.server
    async with contextlib.AsyncExitStack() as stack:
        held = passed()
        public = _taken(stack, held.public, ListenAddress.parse(server.listen))
        admin = _taken(stack, held.admin, ListenAddress.parse(server.admin).for_worker(worker or 1))
        reloader.renewable = certificate = await stack.enter_async_context(
            certificate_in_force(server.tls, service.metrics)
        )
        following = asyncio.create_task(reloader.follow(), name="follow the store")
        request_log = RequestLog()
        runners: list[web.ServerRunner] = []
        try:
            receiver = await stack.enter_async_context(service.callback_service())
            routes = Public(service).routes()
            routes.add("POST", "/v1/apps/{app_id}/callback", callback_handler(receiver, _callback_rules))
            if extend is not None:
                await extend(routes, service)
            admin_routes = Admin(service, reloader).routes()
            status = Status(service, reloader, worker=worker)
            status.add_to(admin_routes)
            await stack.enter_async_context(status.watching())
            admin_routes = guarded(admin_routes, server.admin_token, admin)
            context = None if certificate is None else certificate.context
            with signals.heard():
                for each, sockets, tls in ((routes, public, context), (admin_routes, admin, None)):
                    front = Front(service, each, request_log, timed=each is routes)
                    runners.append(runner(front))
                    await runners[-1].setup()
                    for sock in sockets:
                        await Site(runners[-1], sock, backlog=BACKLOG, ssl_context=tls).start()
                urls = url_of(public[0], tls=context is not None), url_of(admin[0])
                log.info("listening", extra={"public": urls[0], "admin": urls[1]})
                if started is not None:
                    started(*urls)
                stopped = asyncio.create_task(signals.stop.wait())
                settled = asyncio.create_task(service.settle(_SETTLE_SECONDS))
                await asyncio.wait((stopped, settled), return_when=asyncio.FIRST_COMPLETED)
                if not signals.stop.is_set():
                    registry = service.current.registry
                    log.info("ready", extra={"apps": len(registry.apps), "roles": len(service.role_states())})
                    await life.began()
                watching = asyncio.create_task(life.watch(), name="feed the watchdog")
                stack.callback(watching.cancel)
                settled.cancel()
                await stopped
                log.info("stopping", extra={"reason": signals.which})
                life.ending(signals.which)
                await drain(runners[0], seconds=drain_seconds, hurry=signals.hurry)
        finally:
            following.cancel()
            for each_runner in runners:
                await each_runner.cleanup()
            await request_log.close()
            log.info("stopped", extra={"reason": signals.which or "an error"})


def _taken(stack: contextlib.AsyncExitStack, held: list[socket.socket], address: ListenAddress) -> list[socket.socket]:
    """The sockets that systemd holds for us, else one of our own."""
    if not held:
        return [stack.enter_context(listening(address))]
    for sock in held:
        stack.enter_context(sock)
    urls = [url_of(sock) for sock in held]
    log.info("listening on what systemd holds; the address in the definitions is not used", extra={"urls": urls})
    return held


def _callback_rules(exchange: Exchange) -> CallbackRules | None:
    """Of an app that is switched off too: its uploads did happen."""
    app = exchange.revision.registry.apps.get(exchange.parameter)
    return None if app is None else app.callback
