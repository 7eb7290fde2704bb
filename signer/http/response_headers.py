"""All response headers that depend on the request: id, CORS, RateLimit, session, and those of problems."""

import re

from aiohttp import hdrs
from multidict import CIMultiDict, istr

from signer.errors import Problem
from signer.http.reply import Reply
from signer.revision import Context

FIXED_HEADERS = {"Cache-Control": "no-store", "Server": "oss-signer"}
"""The headers of every response. No response may be cached: each is for one caller or one moment."""

_FIXED_HEADERS = CIMultiDict(FIXED_HEADERS)
"""The same, to copy: several times as fast as making them from a dict for each response."""
_X_REQUEST_ID = istr("X-Request-Id")

_CORS_REQUEST_HEADERS = (
    "Authorization, Cache-Control, Content-Type, X-Api-Key, X-App-Id, X-Caller, X-Request-Id, X-Requested-With, "
    "X-Session, X-Upload-Token, X-WX-Code"
)
"""Those that this API reads, and two that common HTTP clients add to every request."""
_CORS_RESPONSE_HEADERS = (
    "X-Request-Id, X-Session, X-Session-Expires-In, Retry-After, "
    "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, RateLimit, RateLimit-Policy"
)
_PORT = re.compile(r"(:[0-9]+)?$")
_PREFLIGHT_MAX_AGE_SECONDS = "600"


def all_headers(reply: Reply) -> CIMultiDict[str]:
    """Return all headers of a response, except those that the server adds: Date and Content-Length."""
    headers = _FIXED_HEADERS.copy()
    headers[_X_REQUEST_ID] = reply.request_id
    headers.update(reply.headers)
    if reply.content_type is not None:
        headers[hdrs.CONTENT_TYPE] = reply.content_type
    return headers


def add_response_headers(reply: Reply, context: Context, problem: Problem | None) -> None:
    """Add the headers that depend on the request, and on the problem that the reply reports, if it reports one."""
    headers = reply.headers
    reply.request_id = context.request_id
    if (app := context.app) is not None and app.cors_origins:
        _add_cors(headers, context, app.cors_origins)
    if reply.allowance is not None:
        headers.update(reply.allowance.headers())
    if reply.session is not None:
        headers["X-Session"] = reply.session.token
        headers["X-Session-Expires-In"] = str(reply.session.expires_in_seconds)
    if problem is not None:
        headers.update(problem.headers)
        if problem.retry_after_seconds is not None:
            headers["Retry-After"] = str(problem.retry_after_seconds)


def _is_allowed(origin: str, origins: frozenset[str]) -> bool:
    return origin in origins or "*" in origins or _PORT.sub(":*", origin, count=1) in origins


def _add_cors(headers: dict[str, str], context: Context, origins: frozenset[str]) -> None:
    """Let a web page of an allowed origin read the response, refusals included. Mini-programs need no CORS.

    See: https://fetch.spec.whatwg.org/#http-cors-protocol
    """
    headers["Vary"] = "Origin"
    origin = context.headers.get("Origin")
    if origin is None or not origin.isprintable() or not _is_allowed(origin, origins):
        return
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Expose-Headers"] = _CORS_RESPONSE_HEADERS
    if context.method == "OPTIONS":
        method = context.headers.get("Access-Control-Request-Method", "")
        headers["Access-Control-Allow-Methods"] = method if method.isalpha() else ""
        headers["Access-Control-Allow-Headers"] = _CORS_REQUEST_HEADERS
        headers["Access-Control-Max-Age"] = _PREFLIGHT_MAX_AGE_SECONDS
