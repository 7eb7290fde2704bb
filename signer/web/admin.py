"""The admin routes: is the process alive, can it sign. Never public."""

from __future__ import annotations

import asyncio

from aiohttp import web

import signer
from signer.credentials.keeper import RoleState
from signer.credentials.skew import Verdict
from signer.definitions.diff import sections
from signer.metrics import CONTENT_TYPE
from signer.reload import Outcome, Reloader
from signer.service import Service
from signer.web.answers import rfc3339
from signer.web.every_request import every_request
from signer.web.keys import RELOADER, SERVICE


def admin_app(service: Service, reloader: Reloader) -> web.Application:
    app = web.Application(middlewares=[every_request])
    app[SERVICE] = service
    app[RELOADER] = reloader
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/status", status)
    app.router.add_get("/-/definitions", definitions)
    app.router.add_post("/-/reload", reload)
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
        "apps": len(service.current.registry.apps),
        "unusable_roles": unusable,
        "clock": {"state": verdict, "skew_seconds": round(service.clock_skew.seconds(), 1)},
        "roles": [_role(state) for state in roles],
    }
    return web.json_response(body, status=200 if ready else 503)


async def metrics(request: web.Request) -> web.Response:
    text = await asyncio.to_thread(request.app[SERVICE].metrics.exposition)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})


async def reload(request: web.Request) -> web.Response:
    """Takes the store's definitions over now: 200, or 422 with each mistake, or 503 when the store is away."""
    outcome = await request.app[RELOADER].reload("request")
    status = 200 if outcome.succeeded else 422 if outcome.mistakes else 503
    return web.json_response(_outcome(outcome), status=status)


async def status(request: web.Request) -> web.Response:
    """What runs, with which definitions, and how the last reload ended."""
    service = request.app[SERVICE]
    body = {
        "version": signer.__version__,
        "apps": len(service.current.registry.apps),
        "roles": [_role(state) for state in service.role_states()],
        "last_reload": _outcome(request.app[RELOADER].last),
    }
    return web.json_response(body)


async def definitions(request: web.Request) -> web.Response:
    """What is in force, secrets masked, for `check --diff`."""
    shown = await asyncio.to_thread(sections, request.app[SERVICE].current.registry)
    return web.json_response(shown)


def _outcome(outcome: Outcome) -> dict[str, object]:
    return {
        "at": rfc3339(outcome.at),
        "trigger": outcome.trigger,
        "succeeded": outcome.succeeded,
        "revision": outcome.revision,
        "changes": outcome.changes,
        "needs_restart": outcome.needs_restart,
        "mistakes": [mistake.members() for mistake in outcome.mistakes],
        "error": outcome.error,
    }


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
