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
from signer.web.exchange import Exchange
from signer.web.routing import Routes


class Admin:
    def __init__(self, service: Service, reloader: Reloader) -> None:
        self._service = service
        self._reloader = reloader

    def routes(self) -> Routes:
        routes = Routes()
        routes.add("GET", "/healthz", self.healthz)
        routes.add("GET", "/readyz", self.readyz)
        routes.add("GET", "/metrics", self.metrics)
        routes.add("GET", "/status", self.status)
        routes.add("GET", "/-/definitions", self.definitions)
        routes.add("POST", "/-/reload", self.reload)
        return routes

    async def healthz(self, _exchange: Exchange) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, exchange: Exchange) -> web.Response:
        """200 when every role that an enabled app uses holds a usable credential and our clock is right, else 503."""
        roles = self._service.role_states()
        skew = self._service.clock_skew
        unusable = [state.role for state in roles if not state.usable]
        ready = not unusable and skew.verdict() is not Verdict.WRONG
        body = {
            "ready": ready,
            "apps": len(exchange.revision.registry.apps),
            "unusable_roles": unusable,
            "clock": {"state": skew.verdict(), "skew_seconds": round(skew.seconds(), 1)},
            "roles": [_role(state) for state in roles],
        }
        return web.json_response(body, status=200 if ready else 503)

    async def metrics(self, _exchange: Exchange) -> web.Response:
        text = await asyncio.to_thread(self._service.metrics.exposition)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    async def reload(self, _exchange: Exchange) -> web.Response:
        """Takes the store's definitions over now: 200, or 422 with each mistake, or 503 when the store is away."""
        outcome = await self._reloader.reload("request")
        status = 200 if outcome.succeeded else 422 if outcome.mistakes else 503
        return web.json_response(_outcome(outcome), status=status)

    async def status(self, exchange: Exchange) -> web.Response:
        """What runs, with which definitions, and how the last reload ended."""
        body = {
            "version": signer.__version__,
            "apps": len(exchange.revision.registry.apps),
            "roles": [_role(state) for state in self._service.role_states()],
            "last_reload": _outcome(self._reloader.last),
        }
        return web.json_response(body)

    async def definitions(self, exchange: Exchange) -> web.Response:
        """What is in force, secrets masked, for `check --diff`."""
        return web.json_response(await asyncio.to_thread(sections, exchange.revision.registry))


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
