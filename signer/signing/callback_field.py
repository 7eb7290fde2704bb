"""The `callback` field of a form: what OSS is to tell, and where (help page `callback`)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from signer.signing.callback_proof import FormScope, with_proof

FORM_BODY, JSON_BODY = "application/x-www-form-urlencoded", "application/json"
"""The body types that OSS sends, for `callbackBodyType`."""


@dataclass(frozen=True, slots=True)
class CallbackField:
    """Where callbacks come to us and are handed on, each form's URLs carry a proof that it is ours (proof.py)."""

    urls: tuple[str, ...]
    """OSS tries one after the other, five at most."""
    body: str
    body_type: str = FORM_BODY
    host: str | None = None
    proof_secret: bytes | None = field(default=None, repr=False)

    def text(self, scope: FormScope, *, app_id: str, bucket: str) -> str:
        """Base64 JSON, for a form that may upload what `scope` says."""
        if self.proof_secret is None:
            return _text(self.urls, self.body, self.body_type, self.host)
        urls = [with_proof(url, self.proof_secret, scope, app_id=app_id, bucket=bucket) for url in self.urls]
        return _made(urls, self.body, self.body_type, self.host)


@lru_cache(maxsize=1024)
def _text(urls: tuple[str, ...], body: str, body_type: str, host: str | None) -> str:
    return _made(urls, body, body_type, host)


def _made(urls: Sequence[str], body: str, body_type: str, host: str | None) -> str:
    document: dict[str, object] = {"callbackUrl": ";".join(urls), "callbackBody": body, "callbackBodyType": body_type}
    if host is not None:
        document["callbackHost"] = host
    if any(url.startswith("https:") for url in urls):
        # Without it OSS names no host in the TLS handshake, and gets the address's default certificate.
        document["callbackSNI"] = True
    return base64.b64encode(json.dumps(document, ensure_ascii=False).encode()).decode()
