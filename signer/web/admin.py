"""The admin routes: is the process alive, can it sign. Never public."""

from __future__ import annotations

import asyncio

from aiohttp import web

from signer.credentials.keeper import RoleState
from signer.credentials.skew import Verdict
from signer.metrics import CONTENT_TYPE
from signer.service import Service
from signer.web.answers import rfc3339
from signer.web.every_request import every_request
from signer.web.keys import SERVICE


def admin_app(service: Service) -> web.Application:
    app = web.Application(middlewares=[every_request])
    app[SERVICE] = service
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


async def healthz(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """200 when every role that an enabled app uses holds a usable credential and our clock is right, else 503."""
    service = request.app[SERVICE]
    roles = service.role_states()
    verdict = service.clock_skew.verdict()
    unusable = [state.role for state in roles if not state.usable]
    ready = not unusable and verdict is not Verdict.WRONG
    body = {
        "ready": ready,
        "apps": len(service.registry.apps),
        "unusable_roles": unusable,
        "clock": {"state": verdict, "skew_seconds": round(service.clock_skew.seconds(), 1)},
        "roles": [_role(state) for state in roles],
    }
    return web.json_response(body, status=200 if ready else 503)


async def metrics(request: web.Request) -> web.Response:
    text = await asyncio.to_thread(request.app[SERVICE].metrics.exposition)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})


def _role(state: RoleState) -> dict[str, object]:
    return {
        "role": state.role,
        "state": state.standing,
        "usable": state.usable,
        "circuit_open": state.circuit_open,
        "expires_at": None if state.expires_at is None else rfc3339(state.expires_at),
        "expires_in_seconds": None if state.remaining is None else round(state.remaining.total_seconds(), 1),
        "last_error": state.last_error,
        "next_attempt_at": None if state.next_attempt_at is None else rfc3339(state.next_attempt_at),
    }
