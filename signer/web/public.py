"""The public routes."""

from __future__ import annotations

from aiohttp import web

from signer.policy import SignedUpload, Wish
from signer.service import Service
from signer.web import answers
from signer.web.cors import cors
from signer.web.every_request import every_request
from signer.web.keys import ASKED_APP, KNOWN_APP, REVISION, SERVICE
from signer.web.wishes import MAX_BODY_BYTES, evidence, named_app, wish_in_body, wish_in_query


def public_app(service: Service) -> web.Application:
    app = web.Application(middlewares=[cors, every_request], client_max_size=MAX_BODY_BYTES)
    app[SERVICE] = service
    app.router.add_get("/generate_signature", generate_signature, allow_head=False)
    app.router.add_options("/generate_signature", preflight)
    app.router.add_post("/v1/apps/{app_id}/uploads", create_upload)
    app.router.add_options("/v1/apps/{app_id}/uploads", preflight)
    return app


async def generate_signature(request: web.Request) -> web.Response:
    """Alibaba's documented sample endpoint: unchanged client code works against it (help page 92883)."""
    app_id = _note_asked_app(request)
    upload = await _ask(request, app_id, wish_in_query(request), documented=True)
    return web.json_response(answers.documented(upload))


async def create_upload(request: web.Request) -> web.Response:
    """A whole form, every fixed field in it and pinned."""
    app_id = _note_asked_app(request)
    upload = await _ask(request, app_id, await wish_in_body(request))
    return web.json_response(answers.whole_form(upload), status=201)


async def preflight(request: web.Request) -> web.Response:
    """A browser's question before the real request; the answer is in the CORS headers."""
    _note_asked_app(request)
    return web.Response(status=204)


def _note_asked_app(request: web.Request) -> str | None:
    app_id = request.match_info.get("app_id") or named_app(request)
    if app_id is not None:
        request[ASKED_APP] = app_id
        if app_id in request[REVISION].registry.apps:
            request[KNOWN_APP] = app_id
    return app_id


async def _ask(request: web.Request, app_id: str | None, wish: Wish, *, documented: bool = False) -> SignedUpload:
    app, upload = await request.app[SERVICE].ask(
        request[REVISION], app_id, evidence(request), wish, documented=documented
    )
    request[KNOWN_APP] = app.id
    return upload
