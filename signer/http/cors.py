"""CORS for web pages (H5) of an app's `cors_origins`; mini-programs need none."""

from __future__ import annotations

from signer.http.exchange import Exchange

_ALLOWED_HEADERS = "Authorization, Content-Type, X-App-Id, X-Api-Key, X-Caller, X-Request-Id, X-Session, X-WX-Code"
_EXPOSED_HEADERS = (
    "X-Request-Id, X-Session, X-Session-Expires-In, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
)


def allow_origin(exchange: Exchange, origins: frozenset[str]) -> None:
    """Lets the page that sent the request read the answer, refusals too, if its origin is one of the app's."""
    origin = exchange.headers.get("Origin")
    exchange.reply_headers["Vary"] = "Origin"
    if origin is not None and origin.isprintable() and (origin in origins or "*" in origins):
        exchange.reply_headers["Access-Control-Allow-Origin"] = origin
        exchange.reply_headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        if exchange.method == "OPTIONS":
            method = exchange.headers.get("Access-Control-Request-Method", "")
            exchange.reply_headers["Access-Control-Allow-Methods"] = method if method.isalpha() else ""
            exchange.reply_headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            exchange.reply_headers["Access-Control-Max-Age"] = "600"
