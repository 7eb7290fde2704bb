"""Runs the service and its routes in the test's own process, behind either HTTP adapter."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import BaseTestServer

from signer.clock import utc_now
from signer.definitions.parser import parse
from signer.environment import Environment
from signer.http.adapter import ServerFactory
from signer.http.dispatch import Dispatcher, Guard
from signer.http.fast import FastServer
from signer.http.request_log import RequestLog
from signer.http.router import Router
from signer.http.standard import StandardServer
from signer.service import Service

ADAPTERS: Mapping[str, ServerFactory] = {"fast": FastServer, "standard": StandardServer}


@contextlib.asynccontextmanager
async def running_service(
    definitions: str, environ: Mapping[str, str] | None = None, *, now: Callable[[], datetime] = utc_now
) -> AsyncIterator[Service]:
    """Create a service from YAML; `type: static` gives it credentials without a cloud."""
    files = {"signer.yaml": definitions}
    async with Service(parse(files, environ or {}), Environment(environ or {}), now=now) as service:
        await service.settle(timeout_seconds=10)
        yield service


class HttpTestServer(BaseTestServer):
    """Serves routes through one adapter; start it with the fixture `aiohttp_client`."""

    def __init__(self, service: Service, router: Router, adapter: ServerFactory, guard: Guard | None = None) -> None:
        super().__init__()
        self._adapter = adapter
        self._dispatcher = Dispatcher(service, router, RequestLog(), guard=guard)

    async def _make_runner(self, **_options: Any) -> web.ServerRunner:
        return web.ServerRunner(self._adapter(self._dispatcher))
