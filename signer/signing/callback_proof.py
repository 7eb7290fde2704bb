"""A proof of ours in the callback's URL: which app's form it belongs to, and what could be uploaded with it.

OSS signs the callbacks of all its customers with one key, and lets each choose what the body says. So its signature
alone does not stop another customer from telling of uploads into a bucket that is not his. The URL stands in the form
that we sign, and OSS calls it as it stands: with a proof in it, whoever has a form can tell lies about its own object
or prefix, until the form ends, and about nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from urllib.parse import parse_qs

from signer.errors import Forbidden

_LATE_SECONDS = 15 * 60
"""OSS's clock may be so far off (help page `signature-version-4-recommend`)."""
_LABEL = "oss-signer callback"


@dataclass(frozen=True, slots=True)
class FormScope:
    """What one form may upload."""

    key: str
    """The exact key, or the prefix that the client's own names lie below."""
    exact: bool
    caller: str | None
    ends_at: int
    """Epoch seconds."""

    def holds(self, key: str, now: float) -> bool:
        named = key == self.key if self.exact else key.startswith(self.key) and key != self.key
        return named and now < self.ends_at + _LATE_SECONDS


def with_proof(url: str, secret: bytes, scope: FormScope, *, app_id: str, bucket: str) -> str:
    """`url` with `?scope=...&proof=...`, to stand in the form's `callback` field; about 8 us."""
    text = json.dumps([scope.key, int(scope.exact), scope.caller, scope.ends_at], separators=(",", ":"))
    encoded = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return f"{url}?scope={encoded}&proof={_proof(secret, app_id, bucket, encoded)}"


def read_proof(query: str, secret: bytes, *, app_id: str, bucket: str) -> FormScope:
    """What the form could upload whose callback came with this query. Raises `Forbidden`."""
    try:
        given = parse_qs(query, strict_parsing=True, max_num_fields=8)
        [encoded], [proof] = given["scope"], given["proof"]
        if not hmac.compare_digest(proof.encode(), _proof(secret, app_id, bucket, encoded).encode()):
            raise ValueError
        key, exact, caller, ends_at = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (KeyError, ValueError, binascii.Error):
        raise Forbidden("the callback belongs to no form of this app and bucket") from None
    return FormScope(key, bool(exact), caller, ends_at)


def _proof(secret: bytes, app_id: str, bucket: str, encoded: str) -> str:
    text = "\n".join((_LABEL, app_id, bucket, encoded))
    return hmac.digest(secret, text.encode(errors="surrogatepass"), "sha256").hex()
