"""The routes of the admin and the health listener, with the handlers of `/healthz` and `/metrics`."""

import asyncio

from signer.admin.access import TokenGuard
from signer.admin.definitions_endpoints import reload_handler, show_definitions
from signer.admin.events_endpoints import add_event_routes
from signer.admin.readiness import ready_only, readyz_handler
from signer.admin.refresh_endpoint import refresh_handler
from signer.admin.status.endpoint import StatusEndpoint
from signer.http.reply import TEXT, Reply
from signer.http.router import Router
from signer.live.reloader import Reloader
from signer.revision import Context
from signer.service import Service
from signer.telemetry.metrics import CONTENT_TYPE


def admin_routes(
    service: Service, reloader: Reloader, status: StatusEndpoint, guard: TokenGuard | None = None
) -> Router:
    """Return the routes; with `guard`, /readyz shows its details only to requests with the token."""

    async def metrics(_context: Context) -> Reply:
        return Reply(200, await asyncio.to_thread(service.metrics.exposition), CONTENT_TYPE)

    async def index(_context: Context) -> Reply:
        return Reply(302, content_type=None, headers={"Location": "/status"})

    readyz = readyz_handler(service)
    router = Router()
    router.add("GET", "/", index)
    router.add("GET", "/healthz", _healthz)
    router.add("GET", "/readyz", readyz if guard is None else guard.without_details(readyz))
    router.add("GET", "/metrics", metrics)
    router.add("GET", "/-/definitions", show_definitions)
    router.add("POST", "/-/reload", reload_handler(reloader))
    router.add("POST", "/-/refresh", refresh_handler(service.credentials))
    add_event_routes(router, service)
    status.add_routes(router)
    return router


def health_routes(service: Service) -> Router:
    """Return the routes for health checks of load balancers, which show nothing of the definitions."""
    router = Router()
    router.add("GET", "/healthz", _healthz)
    router.add("GET", "/readyz", ready_only(readyz_handler(service)))
    return router


async def _healthz(_context: Context) -> Reply:
    return Reply(200, b"ok\n", TEXT)
