"""Add a proof to a callback URL, and check it: which app's form caused the callback, and what the form could upload.

OSS signs the callbacks of all its customers with the same key, and each customer chooses the body. So the signature of
OSS alone does not stop another customer from reporting uploads into a bucket that is not theirs. The callback URL is
part of the form that this service signs, and OSS calls it unchanged. With a proof in it, the holder of a form can only
report the form's own object or prefix, and only until the form expires.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from urllib.parse import parse_qs

from signer.errors import Forbidden

_CLOCK_TOLERANCE_SECONDS = 15 * 60
"""See: https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend"""
_LABEL = "oss-signer callback"


@dataclass(frozen=True, slots=True)
class FormScope:
    """What one form may upload, by whom, and until when."""

    key: str
    """The exact object key, or the prefix below which the client chooses a name."""
    is_exact: bool
    caller: str | None
    expires_at: int
    """Epoch seconds."""

    def allows(self, key: str, now: float) -> bool:
        """Return whether the form can have uploaded `key` by `now`, in epoch seconds."""
        is_in_scope = key == self.key if self.is_exact else key.startswith(self.key) and key != self.key
        return is_in_scope and now < self.expires_at + _CLOCK_TOLERANCE_SECONDS


def add_proof(url: str, secret: bytes, scope: FormScope, *, app_id: str, bucket: str) -> str:
    """Return `url` with the query `?scope=...&proof=...`."""
    text = json.dumps([scope.key, int(scope.is_exact), scope.caller, scope.expires_at], separators=(",", ":"))
    encoded_scope = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return f"{url}?scope={encoded_scope}&proof={_proof(secret, app_id, bucket, encoded_scope)}"


def check_proof(query: str, secret: bytes, *, app_id: str, bucket: str) -> FormScope:
    """Return the scope of the form that a callback with this query belongs to.

    Raises:
        Forbidden: The query has no valid proof for this app and bucket.
    """
    try:
        parameters = parse_qs(query, strict_parsing=True, max_num_fields=8)
        [encoded_scope], [proof] = parameters["scope"], parameters["proof"]
        if not hmac.compare_digest(proof.encode(), _proof(secret, app_id, bucket, encoded_scope).encode()):
            raise ValueError
        padding = "=" * (-len(encoded_scope) % 4)
        key, is_exact, caller, expires_at = json.loads(base64.urlsafe_b64decode(encoded_scope + padding))
    except (KeyError, ValueError, binascii.Error):
        raise Forbidden("the callback belongs to no form of this app and bucket") from None
    return FormScope(key, bool(is_exact), caller, expires_at)


def _proof(secret: bytes, app_id: str, bucket: str, encoded_scope: str) -> str:
    text = "\n".join((_LABEL, app_id, bucket, encoded_scope))
    return hmac.digest(secret, text.encode(errors="surrogatepass"), "sha256").hex()
