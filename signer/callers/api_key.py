"""`type: api_key`: the team's own servers, by a key of which only the SHA-256 is stored.

`X-Api-Key` has the key, and `X-Caller` can name the user for whom the server sends the request.
"""

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256

from signer.callers.caller import Caller
from signer.errors import Unauthenticated
from signer.request_context import RequestContext


class ApiKeyCheck:
    """Identifies servers by the hex digests of their keys; a server has several during a rotation."""

    def __init__(self, sha256_by_name: Mapping[str, str | Sequence[str]]) -> None:
        self._digests = [
            (name, bytes.fromhex(digest))
            for name, digests in sha256_by_name.items()
            for digest in ([digests] if isinstance(digests, str) else digests)
        ]

    def has_credential(self, context: RequestContext) -> bool:
        return context.has_header("X-Api-Key")

    async def identify(self, context: RequestContext) -> Caller:
        key, user = context.header("X-Api-Key"), context.header("X-Caller")
        digest = sha256((key or "").encode(errors="surrogatepass")).digest()
        # The key is compared with every digest, each time in constant time.
        names = [name for name, known in self._digests if hmac.compare_digest(digest, known)]
        if key is None or not names:
            raise Unauthenticated("X-Api-Key is missing or wrong; send a valid key")
        return Caller(user or names[0])
