"""CORS for web pages (H5) of an app's `cors_origins`; mini-programs need none."""

from __future__ import annotations

from aiohttp import web

from signer.web.every_request import Handler
from signer.web.keys import ASKED_APP, REVISION

_ALLOWED_HEADERS = "Content-Type, X-App-Id, X-Api-Key, X-Caller, X-Request-Id"
_EXPOSED_HEADERS = "X-Request-Id, Retry-After"


@web.middleware
async def cors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets the page that sent the request read the answer, refusals too, if its origin is one of the app's."""
    response = await handler(request)
    origin = request.headers.get("Origin")
    registry = request[REVISION].registry
    app = registry.apps.get(request.get(ASKED_APP) or registry.default_app or "")
    if origin is None or app is None or not app.cors_origins:
        return response
    response.headers["Vary"] = "Origin"
    if origin in app.cors_origins or "*" in app.cors_origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = request.headers.get("Access-Control-Request-Method", "")
            response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = "600"
    return response
