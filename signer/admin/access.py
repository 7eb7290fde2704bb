"""Require the admin token, for an admin listener that other machines can reach."""

from __future__ import annotations

import hmac

from pydantic import SecretStr

from signer.errors import Unauthenticated
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler
from signer.revision import Context

_PATHS_WITHOUT_TOKEN = ("/healthz", "/readyz")
"""Probes and load balancers have no token."""


class TokenGuard:
    """Requires `Authorization: Bearer` with the token. Without it, /healthz responds, and /readyz without details."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token.get_secret_value().encode()

    def __call__(self, context: Context) -> None:
        """Check one request.

        Raises:
            Unauthenticated: the request has no valid token.
        """
        if context.path not in _PATHS_WITHOUT_TOKEN and not self._has_token(context):
            raise Unauthenticated(
                "the admin routes require Authorization: Bearer with server.admin_token",
                headers={"WWW-Authenticate": 'Bearer realm="oss-signer admin"'},
            )

    def without_details(self, readyz: Handler) -> Handler:
        """Return a handler of /readyz that shows its details only to requests with the token."""

        async def handler(context: Context) -> Reply:
            reply = await readyz(context)
            return reply if self._has_token(context) else json_reply({"ready": reply.status == 200}, reply.status)

        return handler

    def _has_token(self, context: Context) -> bool:
        scheme, _, given = context.headers.get("Authorization", "").partition(" ")
        is_equal = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        return is_equal and scheme.lower() == "bearer"
