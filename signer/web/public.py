"""The public routes."""

from __future__ import annotations

from aiohttp import web

from signer.policy import SignedUpload, Wish
from signer.service import Service
from signer.web import answers
from signer.web.cors import allow_origin
from signer.web.exchange import Exchange
from signer.web.routing import Routes
from signer.web.wishes import evidence, named_app, wish_in_body, wish_in_query


class Public:
    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> Routes:
        routes = Routes()
        routes.add("GET", "/generate_signature", self.generate_signature)
        routes.add("OPTIONS", "/generate_signature", self.preflight)
        routes.add("POST", "/v1/apps/{app_id}/uploads", self.create_upload)
        routes.add("OPTIONS", "/v1/apps/{app_id}/uploads", self.preflight)
        return routes

    async def generate_signature(self, exchange: Exchange) -> web.Response:
        """Alibaba's documented sample endpoint: unchanged client code works against it (help page 92883)."""
        app_id = named_app(exchange.request)
        _note_app(exchange, app_id)
        upload = await self._ask(exchange, app_id, wish_in_query(exchange.request), documented=True)
        return web.json_response(answers.documented(upload))

    async def create_upload(self, exchange: Exchange) -> web.Response:
        """A whole form, every fixed field in it and pinned."""
        _note_app(exchange, exchange.parameter)
        upload = await self._ask(exchange, exchange.parameter, await wish_in_body(exchange.request))
        return web.json_response(answers.whole_form(upload), status=201)

    async def preflight(self, exchange: Exchange) -> web.Response:
        """A browser's question before the real request; the answer is in the CORS headers."""
        _note_app(exchange, exchange.parameter or named_app(exchange.request))
        return web.Response(status=204)

    async def _ask(
        self, exchange: Exchange, app_id: str | None, wish: Wish, *, documented: bool = False
    ) -> SignedUpload:
        app, upload = await self._service.ask(
            exchange.revision, app_id, evidence(exchange.request), wish, documented=documented
        )
        exchange.app = app.id
        return upload


def _note_app(exchange: Exchange, app_id: str | None) -> None:
    registry = exchange.revision.registry
    asked = app_id or registry.default_app
    if asked in registry.apps:
        exchange.app = asked
        allow_origin(exchange)
