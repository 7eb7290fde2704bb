"""The routes of the admin listener."""

from __future__ import annotations

from signer.admin.access import TokenGuard
from signer.admin.definitions_endpoint import definitions
from signer.admin.health import healthz
from signer.admin.metrics_endpoint import metrics_handler
from signer.admin.readiness import readyz_handler
from signer.admin.reload_endpoint import reload_handler
from signer.admin.status.endpoint import StatusEndpoint
from signer.http.router import Router
from signer.live.reloader import Reloader
from signer.service import Service


def admin_routes(
    service: Service, reloader: Reloader, status: StatusEndpoint, guard: TokenGuard | None = None
) -> Router:
    """Return the routes; with `guard`, /readyz shows its details only to requests with the token."""
    readyz = readyz_handler(service)
    router = Router()
    router.add("GET", "/healthz", healthz)
    router.add("GET", "/readyz", readyz if guard is None else guard.without_details(readyz))
    router.add("GET", "/metrics", metrics_handler(service))
    router.add("GET", "/-/definitions", definitions)
    router.add("POST", "/-/reload", reload_handler(reloader))
    status.add_routes(router)
    return router
