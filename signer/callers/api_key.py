"""`callers: {type: api_key}`: the team's own servers, each key kept only as its SHA-256.

`X-Api-Key` holds the key; `X-Caller` may name the user for whom the server asks.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256

from signer.callers.protocol import Caller, Evidence
from signer.errors import Unauthenticated


class ApiKey:
    def __init__(self, sha256_by_name: Mapping[str, Sequence[str]]) -> None:
        """The hex digests of the keys by the name of the server that holds them; several while they are rotated."""
        self._digests = [
            (name, bytes.fromhex(digest)) for name, digests in sha256_by_name.items() for digest in digests
        ]

    def presented(self, evidence: Evidence) -> bool:
        return "X-Api-Key" in evidence.headers

    async def identify(self, evidence: Evidence) -> Caller:
        """Raises `Unauthenticated` when the key is missing or unknown. Every digest is compared, in constant time."""
        digest = sha256(evidence.headers.get("X-Api-Key", "").encode(errors="surrogateescape")).digest()
        names = [name for name, known in self._digests if hmac.compare_digest(digest, known)]
        if not names:
            raise Unauthenticated("send a valid key in X-Api-Key")
        return Caller(evidence.headers.get("X-Caller") or names[0])
