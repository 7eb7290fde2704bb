"""The signer as a process: a public and an admin listener, and an orderly shutdown after SIGTERM or SIGINT."""

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
from signer.live.reloader import Reloader
from signer.server.interpreter import tune_interpreter
from signer.server.listeners import drain, runner
from signer.server.signals import Signals
from signer.server.sites import Site, url_of
from signer.server.sockets import BACKLOG, inherit_sockets, listening_socket, require_local
from signer.server.supervision import Supervision
from signer.server.systemd_notify import ServiceManager
from signer.server.tls import active_certificate
from signer.service import Service

log = logging.getLogger("oss_signer")

_SETTLE_SECONDS = 10.0
"""How long to wait for the first credential of each role before reporting ready."""


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
    """Serve until SIGTERM or SIGINT.

    Args:
        manager: the service manager to notify; None is none.
        worker: the number of this signer among several on one machine, from 1.
        drain_seconds: how long open connections may still send a request after SIGTERM.
        extend: adds routes to the public ones.
        started: called with the public and the admin URL once both listen.

    Raises:
        CannotListen: an address or the certificate cannot be used.
        CannotOpenQueue: the callback queue cannot be opened.
    """
    tune_interpreter()
    reloader.record_start()
    supervision = Supervision(service, reloader, manager or ServiceManager(), worker)
    signals = Signals(supervision.reload)
    server = service.current.registry.server
    async with contextlib.AsyncExitStack() as stack:
        inherited = inherit_sockets()
        public_sockets = _open(stack, inherited.public, ListenAddress.parse(server.listen))
        admin_sockets = _open(stack, inherited.admin, ListenAddress.parse(server.admin).for_worker(worker or 1))
        if server.admin_token is None:
            require_local(admin_sockets)
        reloader.certificate = certificate = await stack.enter_async_context(
            active_certificate(server.tls, service.metrics)
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
            await stack.enter_async_context(status.sampling())
            admin_routes = guarded(admin_routes, server.admin_token)
            context = None if certificate is None else certificate.context
            with signals.handlers():
                for each, sockets, tls in ((routes, public_sockets, context), (admin_routes, admin_sockets, None)):
                    front = Front(service, each, request_log, timed=each is routes)
                    runners.append(runner(front))
                    await runners[-1].setup()
                    for sock in sockets:
                        await Site(runners[-1], sock, backlog=BACKLOG, ssl_context=tls).start()
                urls = url_of(public_sockets[0], tls=context is not None), url_of(admin_sockets[0])
                log.info("listening", extra={"public": urls[0], "admin": urls[1]})
                if started is not None:
                    started(*urls)
                await _settle(service, supervision, signals)
                watching = asyncio.create_task(supervision.watch(), name="feed the watchdog")
                stack.callback(watching.cancel)
                await signals.stop.wait()
                log.info("stopping", extra={"reason": signals.stop_signal})
                supervision.report_stopping(signals.stop_signal)
                await drain(runners[0], seconds=drain_seconds, hurry=signals.skip_drain)
        finally:
            following.cancel()
            for each_runner in runners:
                await each_runner.cleanup()
            await request_log.close()
            log.info("stopped", extra={"reason": signals.stop_signal or "an error"})


async def _settle(service: Service, supervision: Supervision, signals: Signals) -> None:
    """Report ready once each role has a credential or has failed once, unless a signal stops the process earlier."""
    stopped = asyncio.create_task(signals.stop.wait())
    settled = asyncio.create_task(service.settle(_SETTLE_SECONDS))
    await asyncio.wait((stopped, settled), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    settled.cancel()
    if not signals.stop.is_set():
        registry = service.current.registry
        log.info("ready", extra={"apps": len(registry.apps), "roles": len(service.role_states())})
        await supervision.report_ready()


def _open(
    stack: contextlib.AsyncExitStack, inherited: list[socket.socket], address: ListenAddress
) -> list[socket.socket]:
    """Return the sockets from systemd, or a new one where there are none; `stack` closes them."""
    if not inherited:
        return [stack.enter_context(listening_socket(address))]
    for sock in inherited:
        stack.enter_context(sock)
    log.info("using systemd's sockets", extra={"urls": [url_of(sock) for sock in inherited]})
    return inherited


def _callback_rules(exchange: Exchange) -> CallbackRules | None:
    """Return the rules of an app, switched off or not: its uploads happened in any case."""
    app = exchange.revision.registry.apps.get(exchange.parameter)
    return None if app is None else app.callback
