"""`callers: {type: api_key}`: the team's own servers, each key kept only as its SHA-256.

`X-Api-Key` holds the key; `X-Caller` may name the user for whom the server asks.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256

from signer.callers.caller import Caller
from signer.errors import Unauthenticated
from signer.request_context import RequestContext


class ApiKeyCheck:
    def __init__(self, sha256_by_name: Mapping[str, str | Sequence[str]]) -> None:
        """The hex digests of the keys by the name of the server that holds them; several while they are rotated."""
        self._digests = [
            (name, bytes.fromhex(digest))
            for name, digests in sha256_by_name.items()
            for digest in ([digests] if isinstance(digests, str) else digests)
        ]

    def presented(self, context: RequestContext) -> bool:
        return context.has_header("X-Api-Key")

    async def identify(self, context: RequestContext) -> Caller:
        """Raises `Unauthenticated` when the key is missing or unknown. Every digest is compared, in constant time."""
        key, acts_for = context.header("X-Api-Key"), context.header("X-Caller")
        digest = sha256((key or "").encode(errors="surrogatepass")).digest()
        names = [name for name, known in self._digests if hmac.compare_digest(digest, known)]
        if key is None or not names:
            raise Unauthenticated("send a valid key in X-Api-Key")
        return Caller(acts_for or names[0])
