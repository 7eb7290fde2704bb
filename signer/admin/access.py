"""Require the admin token, for an admin listener that other machines can reach."""

from __future__ import annotations

import hmac

from pydantic import SecretStr

from signer.errors import Unauthenticated
from signer.http.exchange import Exchange, Handler
from signer.http.reply import Reply, json_reply
from signer.http.router import Routes

_LIVENESS, _READINESS = "/healthz", "/readyz"


class GuardedRoutes(Routes):
    """Routes for requests with `Authorization: Bearer` and the token.

    Probes and load balancers have no token: without it, /healthz responds, and /readyz without details.
    """

    def __init__(self, routes: Routes, token: SecretStr) -> None:
        super().__init__()
        self._routes = routes
        self._token = token.get_secret_value().encode()

    def find(self, exchange: Exchange) -> Handler:
        """Return the handler of a request.

        Raises:
            Unauthenticated: the request has no valid token.
            NotFound, MethodNotAllowed: as the routes raise them.
        """
        if self._has_token(exchange):
            return self._routes.find(exchange)
        if exchange.path == _LIVENESS:
            return self._routes.find(exchange)
        if exchange.path == _READINESS:
            return _without_details(self._routes.find(exchange))
        exchange.reply_headers["WWW-Authenticate"] = 'Bearer realm="oss-signer admin"'
        raise Unauthenticated("the admin routes require Authorization: Bearer with server.admin_token")

    def _has_token(self, exchange: Exchange) -> bool:
        scheme, _, given = exchange.headers.get("Authorization", "").partition(" ")
        is_equal = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        return is_equal and scheme.lower() == "bearer"


def guarded(routes: Routes, token: SecretStr | None) -> Routes:
    """Return the routes behind the token, if there is one."""
    return routes if token is None else GuardedRoutes(routes, token)


def _without_details(readyz: Handler) -> Handler:
    async def handler(exchange: Exchange) -> Reply:
        status = (await readyz(exchange)).status
        return json_reply({"ready": status == 200}, status)

    return handler
