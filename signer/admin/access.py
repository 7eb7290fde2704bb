"""What guards the admin routes where other machines can reach them: a token, or else only this machine."""

from __future__ import annotations

import hmac
import socket
from ipaddress import ip_address

from pydantic import SecretStr

from signer.errors import Unauthenticated
from signer.http.exchange import Exchange, Handler
from signer.http.reply import Reply, json_reply
from signer.http.router import Routes
from signer.server.sockets import CannotListen

_LIVENESS, _READINESS = "/healthz", "/readyz"


class GuardedRoutes(Routes):
    """The same routes for those who send `Authorization: Bearer` with the token.

    Without it, probes and load balancers get /healthz, and of /readyz whether and no more.
    """

    def __init__(self, routes: Routes, token: SecretStr) -> None:
        super().__init__()
        self._routes = routes
        self._expected = token.get_secret_value().encode()

    def find(self, exchange: Exchange) -> Handler:
        """Raises `Unauthenticated`, and what the routes themselves raise."""
        if self._knows(exchange):
            return self._routes.find(exchange)
        if exchange.path == _LIVENESS:
            return self._routes.find(exchange)
        if exchange.path == _READINESS:
            return _only_whether(self._routes.find(exchange))
        exchange.reply_headers["WWW-Authenticate"] = 'Bearer realm="oss-signer admin"'
        raise Unauthenticated("the admin routes need Authorization: Bearer with server.admin_token")

    def _knows(self, exchange: Exchange) -> bool:
        scheme, _, offered = exchange.headers.get("Authorization", "").partition(" ")
        equal = hmac.compare_digest(offered.strip().encode("utf-8", "surrogateescape"), self._expected)
        return equal and scheme.lower() == "bearer"


def _only_whether(handler: Handler) -> Handler:
    async def answer(exchange: Exchange) -> Reply:
        status = (await handler(exchange)).status
        return json_reply({"ready": status == 200}, status)

    return answer


def guarded(routes: Routes, token: SecretStr | None, sockets: list[socket.socket]) -> Routes:
    """`sockets` are those that the routes are served on. Raises `CannotListen` where nothing would guard them."""
    if token is not None:
        return GuardedRoutes(routes, token)
    for sock in sockets:
        if not _only_this_machine(sock):
            raise CannotListen(
                f"the admin routes would be open to other machines on {sock.getsockname()[0]}; "
                "set server.admin_token, or listen on 127.0.0.1 or a unix socket"
            )
    return routes


def _only_this_machine(sock: socket.socket) -> bool:
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return True
    return ip_address(sock.getsockname()[0].partition("%")[0]).is_loopback
