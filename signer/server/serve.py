"""The signer as a process: a public and an admin listener, and an orderly shutdown after SIGTERM or SIGINT."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from signer.admin.access import TokenGuard, refuse_web_pages
from signer.admin.routes import admin_routes, health_routes
from signer.admin.status.endpoint import StatusEndpoint
from signer.api.routes import public_routes
from signer.definitions import model
from signer.http.adapter import choose_adapter
from signer.http.dispatch import Dispatcher
from signer.http.draining_server import DrainingServer
from signer.http.request_log import RequestLog
from signer.http.router import Router
from signer.listen_address import ListenAddress
from signer.live.reloader import Reloader
from signer.server.deployment import LISTEN_IS_NOT_USED
from signer.server.exit_deadline import ExitDeadline
from signer.server.listeners import Listener, socket_url
from signer.server.process_settings import max_connections, tune_interpreter
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
    deadline: ExitDeadline | None = None,
    extend: Callable[[Router, Service], Awaitable[None]] | None = None,
    started: Callable[[str, str], None] | None = None,
    stop_with_terminal: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raise `CannotListen` if an address or the certificate cannot be used, and `CannotOpenQueue` for an invalid address.

    Args:
        worker: the number of this signer among several on one machine, from 1.
        drain_seconds: how long open connections may still send a request after SIGTERM.
        deadline: limits the time from a signal to the end of the process.
        extend: adds routes to the public ones.
        started: called with the public and the admin URL once both listen.
    """
    tune_interpreter()
    reloader.record_start()
    supervision = Supervision(service, reloader, manager or ServiceManager(), worker)
    signals = Signals(
        None if stop_with_terminal else supervision.reload,
        drain_seconds=drain_seconds,
        deadline=deadline or ExitDeadline(),
    )
    server = service.current.registry.server
    guard = None if server.admin_token is None else TokenGuard(server.admin_token)
    # Signals are handled from the end of the start until everything is closed.
    async with contextlib.AsyncExitStack() as signal_stack, contextlib.AsyncExitStack() as stack:
        stack.callback(lambda: log.info("stopped", extra={"reason": signals.stop_signal or "an error"}))
        sockets = _open_sockets(stack, server, worker or 1)
        reloader.certificate = certificate = await stack.enter_async_context(
            active_certificate(server.tls, service.metrics)
        )
        router = public_routes(service, await stack.enter_async_context(service.callback_service()))
        if extend is not None:
            await extend(router, service)
        status = StatusEndpoint(service, reloader, worker=worker)
        await stack.enter_async_context(status.sampling())
        _start(stack, reloader.follow(), "follow the store")
        request_log = RequestLog()
        create_server = choose_adapter()
        tls = None if certificate is None else certificate.context
        dispatcher = Dispatcher(service, router, request_log)
        max_public, max_admin = max_connections()
        public_listener = _listener(stack, create_server(dispatcher), "public", max_public, signals)
        for sock in sockets.public:
            await public_listener.listen(sock, tls)
        service.metrics.expose(public_listener.metrics)
        admin_router = admin_routes(service, reloader, status, guard)
        for sock in sockets.admin:
            # Pages in a browser cannot connect to a unix socket.
            admin_guard = guard or (None if sock.family == socket.AF_UNIX else refuse_web_pages)
            admin_dispatcher = Dispatcher(service, admin_router, request_log, guard=admin_guard, is_timed=False)
            await _listener(stack, create_server(admin_dispatcher), "admin", max_admin, signals).listen(sock)
        health_dispatcher = Dispatcher(service, health_routes(service), request_log, is_timed=False)
        health_listener = _listener(stack, create_server(health_dispatcher), "health", max_admin, signals)
        for sock in sockets.health:
            await health_listener.listen(sock)
        signal_stack.enter_context(signals.handlers())
        urls = socket_url(sockets.public[0], has_tls=tls is not None), socket_url(sockets.admin[0])
        supervision.admin_url = urls[1]
        health = {"health": socket_url(sockets.health[0])} if sockets.health else {}
        log.info("listening", extra={"public": urls[0], "admin": urls[1], **health})
        if started is not None:
            started(*urls)
        await _settle(service, supervision, signals)
        _start(stack, supervision.watch(), "feed the watchdog")
        await signals.stop.wait()
        log.info("stopping", extra={"reason": signals.stop_signal})
        supervision.report_stopping(signals.stop_signal)
        health_listener.stop_accepting()
        await public_listener.drain(seconds=drain_seconds, skip=signals.skip_drain)


class _Sockets(NamedTuple):
    public: list[socket.socket]
    admin: list[socket.socket]
    health: list[socket.socket]
    """One or none."""


def _open_sockets(stack: contextlib.AsyncExitStack, server: model.Server, worker: int) -> _Sockets:
    """Return the sockets: public and admin ones from systemd, or new ones where there are none."""
    inherited_public, inherited_admin = inherit_sockets()
    if inherited_public and "listen" in server.model_fields_set:
        log.warning("server.listen not used", extra={"reason": f"this address {LISTEN_IS_NOT_USED}"})
    public = _inherited_or_new(stack, inherited_public, ListenAddress.parse(server.listen))
    admin = _inherited_or_new(stack, inherited_admin, ListenAddress.parse(server.admin).for_worker(worker))
    if server.admin_token is None:
        require_local(admin)
    health = []
    if server.health is not None:
        address = ListenAddress.parse(server.health)
        health.append(stack.enter_context(listening_socket(address, key="server.health", is_shared=True)))
    return _Sockets(public, admin, health)


def _inherited_or_new(
    stack: contextlib.AsyncExitStack, inherited: list[socket.socket], address: ListenAddress
) -> list[socket.socket]:
    if not inherited:
        return [stack.enter_context(listening_socket(address))]
    for sock in inherited:
        stack.enter_context(sock)
    log.info("using systemd's sockets", extra={"urls": [socket_url(sock) for sock in inherited]})
    return inherited


def _listener(
    stack: contextlib.AsyncExitStack, server: DrainingServer, name: str, max_connections: int, signals: Signals
) -> Listener:
    listener = Listener(server, name=name, max_connections=max_connections)
    stack.push_async_callback(listener.close, skip=signals.skip_drain)
    return listener


def _start(stack: contextlib.AsyncExitStack, coroutine: Coroutine[Any, Any, None], name: str) -> None:
    """Run a coroutine in the background until the stack closes."""
    stack.callback(asyncio.create_task(coroutine, name=name).cancel)


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
