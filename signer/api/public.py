"""The public routes."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from signer.api import answers, openapi
from signer.api.upload_request import named_app, parse_body, query_of
from signer.errors import InvalidRequest
from signer.http.client_address import client_address
from signer.http.cors import allow_origin
from signer.http.exchange import Exchange
from signer.http.reply import Reply, json_reply
from signer.http.router import Routes
from signer.service import Answer, Service


class Public:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._openapi = openapi.document().encode()
        self._trusted = [ip_network(text) for text in service.current.registry.server.trusted_proxies]

    def routes(self) -> Routes:
        routes = Routes()
        routes.add("GET", "/generate_signature", self.generate_signature)
        routes.add("OPTIONS", "/generate_signature", self.preflight)
        for what, method, handler in (("uploads", "POST", self.create_upload), ("downloads", "GET", self.download)):
            routes.add(method, f"/v1/apps/{{app_id}}/{what}", handler)
            routes.add("OPTIONS", f"/v1/apps/{{app_id}}/{what}", self.preflight)
        routes.add("GET", "/openapi.json", self.openapi)
        return routes

    async def generate_signature(self, exchange: Exchange) -> Reply:
        """Alibaba's documented sample endpoint: unchanged client code works against it (help page 92883)."""
        query = query_of(exchange.raw_path)
        app_id = named_app(exchange.headers, query)
        _note_app(exchange, app_id)
        request = query.request()
        self._note_address(exchange)
        answer = await self._service.ask(exchange.revision, app_id, exchange, request, documented=True)
        _tell(exchange, answer)
        return Reply(200, answers.documented_body(answer.signed))

    async def create_upload(self, exchange: Exchange) -> Reply:
        """A whole form, every fixed field in it and pinned."""
        _note_app(exchange, exchange.parameter)
        request, exchange.login_code = await parse_body(exchange.body, exchange.headers)
        self._note_address(exchange)
        answer = await self._service.ask(exchange.revision, exchange.parameter, exchange, request)
        _tell(exchange, answer)
        return json_reply(answers.whole_form(answer.signed), 201)

    async def download(self, exchange: Exchange) -> Reply:
        """A URL that reads one of the caller's own objects."""
        _note_app(exchange, exchange.parameter)
        key = exchange.query.get("key")
        if not key:
            raise InvalidRequest("say which object: ?key=")
        self._note_address(exchange)
        answer = await self._service.ask_download(exchange.revision, exchange.parameter, exchange, key)
        _tell(exchange, answer)
        return json_reply(answers.download(answer.signed))

    async def preflight(self, exchange: Exchange) -> Reply:
        """A browser's question before the real request; the answer is in the CORS headers."""
        _note_app(exchange, exchange.parameter or named_app(exchange.headers, query_of(exchange.raw_path)))
        return Reply(204, content_type=None)

    async def openapi(self, _exchange: Exchange) -> Reply:
        return Reply(200, self._openapi)

    def _note_address(self, exchange: Exchange) -> None:
        if self._trusted or not exchange.client_address:
            exchange.client_address = client_address(exchange.client_address, exchange.headers, self._trusted)


def _note_app(exchange: Exchange, app_id: str | None) -> None:
    registry = exchange.revision.registry
    app = registry.apps.get(app_id or registry.default_app or "")
    if app is not None:
        exchange.app = app.id
        if app.cors_origins:
            allow_origin(exchange, app.cors_origins)


def _tell(exchange: Exchange, answer: Answer[Any]) -> None:
    if answer.left is not None:
        exchange.reply_headers.update(answer.left.headers())
    if (session := answer.caller.session) is not None:
        exchange.reply_headers["X-Session"] = session.token
        exchange.reply_headers["X-Session-Expires-In"] = str(session.expires_in_seconds)
