"""Build the `callback` field of a form, and prove which form a callback belongs to.

OSS signs the callbacks of all its customers with the same key, and each customer chooses the body. So the signature of
OSS alone does not stop another customer from reporting uploads into a bucket that is not theirs. The callback URL is
part of the form that this service signs, and OSS calls it unchanged. With a proof in it, the holder of a form can only
report the form's own object or prefix, and only until the form expires.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Collection
from dataclasses import astuple, dataclass, field
from urllib.parse import parse_qs

import orjson

from signer.errors import Forbidden

FORM_BODY, JSON_BODY = "application/x-www-form-urlencoded", "application/json"
"""The body types that OSS can send, for `callbackBodyType`."""
_CLOCK_TOLERANCE_SECONDS = 15 * 60
"""See: https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend"""
_MAX_QUERY_FIELDS = 32
_LABEL = "oss-signer callback"
_CUSTOM_VARIABLE = re.compile(r"\$\{(x:[^{}]*)\}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FormScope:
    """What one form may upload, by whom, and until when."""

    bucket: str
    key: str
    """The exact object key, or the prefix below which the client chooses a name."""
    is_exact: bool
    caller: str | None
    expires_at: int
    """Epoch seconds."""

    def allows(self, bucket: str, key: str) -> bool:
        """Return whether the form can have uploaded this object."""
        is_key_allowed = key == self.key if self.is_exact else key.startswith(self.key) and key != self.key
        return is_key_allowed and bucket == self.bucket


@dataclass(frozen=True, slots=True)
class CallbackProof:
    """The valid proof of a callback."""

    text: str = field(repr=False)
    scope: FormScope

    @property
    def ends_at(self) -> int:
        """When the proof is no longer valid, in epoch seconds: OSS's clock and this one may differ."""
        return self.scope.expires_at + _CLOCK_TOLERANCE_SECONDS


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

    def encode(self, scope: FormScope, *, app_id: str, variables: Collection[str] | None = None) -> str:
        """Return the Base64 JSON for a form that may upload what `scope` allows.

        With `variables`, such as `x:order`, the body contains no other custom variable: a client could set it, because
        OSS cannot forbid a form field.
        """
        body = self.body
        if variables is not None:
            absent = "" if self.body_type == FORM_BODY else '""'
            body = _CUSTOM_VARIABLE.sub(lambda match: match[0] if match[1] in variables else absent, body)
        urls = self.urls
        if self.proof_secret is not None:
            urls = tuple(add_proof(url, self.proof_secret, scope, app_id=app_id) for url in urls)
        document: dict[str, object] = {
            "callbackUrl": ";".join(urls),
            "callbackBody": body,
            "callbackBodyType": self.body_type,
        }
        if self.host is not None:
            document["callbackHost"] = self.host
        if any(url.startswith("https:") for url in urls):
            # Without SNI, OSS gets the default certificate of the address, which can be that of another host.
            document["callbackSNI"] = True
        return base64.b64encode(orjson.dumps(document)).decode()


def add_proof(url: str, secret: bytes, scope: FormScope, *, app_id: str) -> str:
    """Return `url` with `scope=...&proof=...` at the end of its query."""
    text = json.dumps(astuple(scope), separators=(",", ":"))
    encoded_scope = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}scope={encoded_scope}&proof={_proof(secret, app_id, encoded_scope)}"


def check_proof(query: str, secret: bytes, *, app_id: str, now: float) -> CallbackProof:
    """Return the proof in the query of a callback. Raises `Forbidden` without one that is valid for this app now."""
    try:
        parameters = parse_qs(query, max_num_fields=_MAX_QUERY_FIELDS)
        [encoded_scope], [proof] = parameters["scope"], parameters["proof"]
        if not hmac.compare_digest(proof.encode(), _proof(secret, app_id, encoded_scope).encode()):
            raise ValueError
        padding = "=" * (-len(encoded_scope) % 4)
        scope = FormScope(*json.loads(base64.urlsafe_b64decode(encoded_scope + padding)))
    except (KeyError, ValueError, binascii.Error):
        raise Forbidden("the callback belongs to no form of this app") from None
    checked = CallbackProof(proof, scope)
    if now >= checked.ends_at:
        raise Forbidden("the form of this callback has expired")
    return checked


def _proof(secret: bytes, app_id: str, encoded_scope: str) -> str:
    text = "\n".join((_LABEL, app_id, encoded_scope))
    return hmac.digest(secret, text.encode(errors="surrogatepass"), "sha256").hex()
