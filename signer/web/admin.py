"""The admin routes: is the process alive, can it sign. Never public."""

from __future__ import annotations

from aiohttp import web

from signer.credentials.keeper import RoleState
from signer.service import Service
from signer.web.answers import rfc3339
from signer.web.every_request import every_request
from signer.web.keys import SERVICE


def admin_app(service: Service) -> web.Application:
    app = web.Application(middlewares=[every_request])
    app[SERVICE] = service
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app


async def healthz(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """200 when every role that an enabled app uses holds a usable credential, else 503; JSON says which does not."""
    service = request.app[SERVICE]
    roles = [_role(state) for state in service.role_states()]
    ready = all(role["usable"] for role in roles)
    body = {"ready": ready, "apps": len(service.registry.apps), "roles": roles}
    return web.json_response(body, status=200 if ready else 503)


def _role(state: RoleState) -> dict[str, object]:
    return {
        "role": state.role,
        "usable": state.usable,
        "standing": state.standing,
        "circuit_open": state.circuit_open,
        "expires_at": None if state.expires_at is None else rfc3339(state.expires_at),
        "last_error": state.last_error,
        "next_attempt_at": None if state.next_attempt_at is None else rfc3339(state.next_attempt_at),
    }
