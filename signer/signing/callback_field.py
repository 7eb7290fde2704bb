"""Build the `callback` field of a form, which makes OSS call a server after the upload.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from signer.signing.callback_proof import FormScope, add_proof

FORM_BODY, JSON_BODY = "application/x-www-form-urlencoded", "application/json"
"""The body types that OSS can send, for `callbackBodyType`."""


@dataclass(frozen=True, slots=True)
class CallbackField:
    """What OSS calls after an upload, and with which body."""

    urls: tuple[str, ...]
    """OSS tries them in turn; it allows five."""
    body: str
    body_type: str = FORM_BODY
    host: str | None = None
    proof_secret: bytes | None = field(default=None, repr=False)
    """With a secret, each form has its own URLs, which carry a proof of what the form may upload."""

    def encode(self, scope: FormScope, *, app_id: str, bucket: str) -> str:
        """Return the Base64 JSON for a form that may upload what `scope` allows."""
        if self.proof_secret is None:
            return _encode_once(self.urls, self.body, self.body_type, self.host)
        urls = [add_proof(url, self.proof_secret, scope, app_id=app_id, bucket=bucket) for url in self.urls]
        return _encode(urls, self.body, self.body_type, self.host)


@lru_cache(maxsize=1024)
def _encode_once(urls: tuple[str, ...], body: str, body_type: str, host: str | None) -> str:
    return _encode(urls, body, body_type, host)


def _encode(urls: Sequence[str], body: str, body_type: str, host: str | None) -> str:
    document: dict[str, object] = {"callbackUrl": ";".join(urls), "callbackBody": body, "callbackBodyType": body_type}
    if host is not None:
        document["callbackHost"] = host
    if any(url.startswith("https:") for url in urls):
        # Without SNI, OSS gets the default certificate of the address, which can be that of another host.
        document["callbackSNI"] = True
    return base64.b64encode(json.dumps(document, ensure_ascii=False).encode()).decode()
