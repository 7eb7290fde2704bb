"""Verify that OSS made a callback, by its RSA signature.

OSS signs the callbacks of all its customers with one key. So the signature proves who called, not what was uploaded;
the proof in the callback URL (`signing/callback_field.py`) proves that.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import MD5

from signer.delivery.public_keys import PublicKeys
from signer.errors import Forbidden, Unauthenticated

_SEGMENTS = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){0,7}"
_ALIBABA_KEY_URL = re.compile(rf"https?://gosspublic\.alicdn\.com/({_SEGMENTS})", re.ASCII)
_KEY_PATH = re.compile(_SEGMENTS, re.ASCII)
_MAX_HEADER_CHARACTERS = 2048


def string_to_sign(target: str, body: bytes) -> bytes:
    """Return `url_decode(path) [+ "?" + query] + "\\n" + body`, with path and query as in the request line.

    See: https://help.aliyun.com/zh/oss/developer-reference/callback
    """
    path, mark, query = target.encode(errors="surrogateescape").partition(b"?")
    return unquote_to_bytes(path) + mark + query + b"\n" + body


def trusted_key_url(url: str, extra_key_url: str | None = None) -> str | None:
    """Return the URL to fetch a public key from, or None for one that must not be requested.

    Only Alibaba's host is trusted, exactly as documented: in lower case, without port, user, query or dot segments.
    The key is fetched over HTTPS even where the callback names HTTP, so that no one in between can replace it.
    Keys may also be below `extra_key_url`, which ends in `/`: for the local cloud.
    """
    if (match := _ALIBABA_KEY_URL.fullmatch(url)) is not None:
        return f"https://gosspublic.alicdn.com/{match[1]}"
    if extra_key_url is not None and url.startswith(extra_key_url) and _KEY_PATH.fullmatch(url, len(extra_key_url)):
        return url
    return None


class CallbackVerifier:
    """Verifies callbacks with the public keys of OSS."""

    def __init__(self, keys: PublicKeys, *, extra_key_url: str | None = None) -> None:
        self._keys = keys
        is_complete = extra_key_url is None or extra_key_url.endswith("/")
        self._extra_key_url = extra_key_url if is_complete else f"{extra_key_url}/"

    async def verify(self, headers: Mapping[str, str], targets: Sequence[str], body: bytes) -> None:
        """Return when OSS has signed this body for one of the targets.

        Args:
            targets: Paths with queries that OSS can have called: a proxy can have changed the path.

        Raises:
            Unauthenticated: A header is missing or is not Base64.
            Forbidden: The key URL is not trusted, or the signature is wrong.
            KeyUnavailable: The public key cannot be fetched now.
        """
        signature = _decode_header(headers, "Authorization")
        key_url = _decode_header(headers, "x-oss-pub-key-url").decode("latin-1")
        trusted_url = trusted_key_url(key_url, self._extra_key_url)
        if trusted_url is None:
            raise Forbidden("x-oss-pub-key-url is not an address of OSS's public keys")
        texts = [string_to_sign(target, body) for target in targets]
        key = await self._keys.get(trusted_url)
        if _is_signed(key, signature, texts):
            return
        # OSS may have replaced its key since it was fetched.
        new_key = await self._keys.get_replacement(trusted_url)
        if new_key is None or not _is_signed(new_key, signature, texts):
            raise Forbidden("the signature is not OSS's signature of this address and body")


def _decode_header(headers: Mapping[str, str], name: str) -> bytes:
    value = headers.get(name, "")
    if not value:
        raise Unauthenticated(f"the header {name} is missing; only OSS may call this address")
    try:
        if len(value) > _MAX_HEADER_CHARACTERS:
            raise ValueError
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Unauthenticated(f"the header {name} is not Base64; only OSS may call this address") from None


def _is_signed(key: RSAPublicKey, signature: bytes, texts: Sequence[bytes]) -> bool:
    """Return whether the key has signed one of the texts; at most 0.2 ms, so it needs no thread."""
    for text in texts:
        try:
            key.verify(signature, text, PKCS1v15(), MD5())  # noqa: S303 (OSS signs no other way)
        except InvalidSignature:
            continue
        return True
    return False
