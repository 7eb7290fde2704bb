"""The signer as a process: a public and an admin listener, and an orderly shutdown after SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable

from signer.admin.access import TokenGuard
from signer.admin.routes import admin_routes
from signer.admin.status.endpoint import StatusEndpoint
from signer.api.routes import public_routes
from signer.http.adapter import choose_adapter
from signer.http.dispatch import Dispatcher
from signer.http.request_log import RequestLog
from signer.http.router import Router
from signer.listen_address import ListenAddress
from signer.live.reloader import Reloader
from signer.server.interpreter import tune_interpreter
from signer.server.listeners import Listener, socket_url
from signer.server.signals import Signals
from signer.server.sockets import inherit_sockets, listening_socket, require_local
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
    extend: Callable[[Router, Service], Awaitable[None]] | None = None,
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
        listeners: list[Listener] = []
        try:
            receiver = await stack.enter_async_context(service.callback_service())
            routes = public_routes(service, receiver)
            if extend is not None:
                await extend(routes, service)
            guard = None if server.admin_token is None else TokenGuard(server.admin_token)
            status = StatusEndpoint(service, reloader, worker=worker)
            await stack.enter_async_context(status.sampling())
            adapter = choose_adapter()
            context = None if certificate is None else certificate.context
            with signals.handlers():
                for dispatcher, sockets, tls in (
                    (Dispatcher(service, routes, request_log), public_sockets, context),
                    (
                        Dispatcher(
                            service,
                            admin_routes(service, reloader, status, guard),
                            request_log,
                            guard=guard,
                            is_timed=False,
                        ),
                        admin_sockets,
                        None,
                    ),
                ):
                    listeners.append(Listener(adapter(dispatcher)))
                    for sock in sockets:
                        await listeners[-1].listen(sock, tls)
                urls = socket_url(public_sockets[0], has_tls=context is not None), socket_url(admin_sockets[0])
                log.info("listening", extra={"public": urls[0], "admin": urls[1]})
                if started is not None:
                    started(*urls)
                await _settle(service, supervision, signals)
                watching = asyncio.create_task(supervision.watch(), name="feed the watchdog")
                stack.callback(watching.cancel)
                await signals.stop.wait()
                log.info("stopping", extra={"reason": signals.stop_signal})
                supervision.report_stopping(signals.stop_signal)
                await listeners[0].drain(seconds=drain_seconds, hurry=signals.skip_drain)
        finally:
            following.cancel()
            for listener in listeners:
                await listener.close()
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
    log.info("using systemd's sockets", extra={"urls": [socket_url(sock) for sock in inherited]})
    return inherited
