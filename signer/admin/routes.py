"""The admin routes: is the process alive, can it sign. Never public."""

from __future__ import annotations

import asyncio

from signer.admin.access import TokenGuard
from signer.admin.status.document import outcome as told_outcome
from signer.admin.status.document import role as told_role
from signer.credentials.readiness import can_sign
from signer.definitions.diff import printable_sections
from signer.http.reply import TEXT, Reply, json_reply
from signer.http.router import Router
from signer.live.reloader import Reloader
from signer.revision import Context
from signer.service import Service
from signer.telemetry.metrics import CONTENT_TYPE


class Admin:
    def __init__(self, service: Service, reloader: Reloader) -> None:
        self._service = service
        self._reloader = reloader

    def routes(self, guard: TokenGuard | None = None) -> Router:
        routes = Router()
        routes.add("GET", "/healthz", self.healthz)
        routes.add("GET", "/readyz", self.readyz if guard is None else guard.without_details(self.readyz))
        routes.add("GET", "/metrics", self.metrics)
        routes.add("GET", "/-/definitions", self.definitions)
        routes.add("POST", "/-/reload", self.reload)
        return routes

    async def healthz(self, _context: Context) -> Reply:
        return Reply(200, b"ok\n", TEXT)

    async def readyz(self, context: Context) -> Reply:
        """200 when every role that an enabled app uses holds a usable credential and our clock is right, else 503.

        `?roles=any` is content with one role: for load balancers, which would take all signers away for one app's role.
        """
        roles = self._service.role_states()
        skew = self._service.clock_skew
        enough = roles
        if context.query.get("roles") == "any":
            enough = [state for state in roles if state.usable] or roles
        ready = can_sign(enough, skew.seconds())
        body = {
            "ready": ready,
            "apps": len(context.revision.registry.apps),
            "unusable_roles": [state.role for state in roles if not state.usable],
            "clock": {"state": skew.state(), "skew_seconds": round(skew.seconds(), 1)},
            "roles": [told_role(state) for state in roles],
        }
        return json_reply(body, 200 if ready else 503)

    async def metrics(self, _context: Context) -> Reply:
        text = await asyncio.to_thread(self._service.metrics.exposition)
        return Reply(200, text, CONTENT_TYPE)

    async def reload(self, _context: Context) -> Reply:
        """Takes the store's definitions and renewed certificates over now.

        200, or 422 with each mistake or what is wrong with the certificate, or 503 when the store is away.
        """
        outcome = await self._reloader.reload("request")
        status = 200 if outcome.succeeded else 422 if outcome.mistakes else 503
        body = told_outcome(outcome)
        if self._reloader.certificate is not None:
            body["certificate_error"] = error = self._reloader.certificate.error
            status = 422 if error is not None and status == 200 else status
        return json_reply(body, status)

    async def definitions(self, context: Context) -> Reply:
        """What is in force, secrets masked, for `check --diff`."""
        return json_reply(await asyncio.to_thread(printable_sections, context.revision.registry))
