"""Whether a callback comes from OSS: its RSA signature, as help page `callback` documents it.

It proves that OSS made the call, no more: OSS signs the callbacks of all its customers with one key. What was uploaded
where is proven by a proof of ours in the URL (proof.py).
"""

from __future__ import annotations

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
_ALIBABA = re.compile(rf"https?://gosspublic\.alicdn\.com/({_SEGMENTS})", re.ASCII)
_REST = re.compile(_SEGMENTS, re.ASCII)
_MAX_HEADER_CHARACTERS = 2048


def string_to_sign(target: str, body: bytes) -> bytes:
    """`url_decode(path) [+ "?" + query] + "\\n" + body`; `target` is path and query as the request line has them."""
    path, mark, query = target.encode(errors="surrogateescape").partition(b"?")
    return unquote_to_bytes(path) + mark + query + b"\n" + body


def key_address(url: str, also_below: str | None = None) -> str | None:
    """Where to fetch a key from, or None for a URL that is not to be asked.

    Alibaba's host, exactly as documented and in small letters, without a port, a user, a query or dot segments; it is
    asked over https even where the callback says http, so that nobody on the way can put in a key of his own.
    `also_below` is a further URL, ending in `/`, below which keys may lie: for localcloud.
    """
    if (match := _ALIBABA.fullmatch(url)) is not None:
        return f"https://gosspublic.alicdn.com/{match[1]}"
    if also_below is not None and url.startswith(also_below) and _REST.fullmatch(url, len(also_below)):
        return url
    return None


class CallbackVerifier:
    """Checks callbacks with the keys that OSS publishes."""

    def __init__(self, keys: PublicKeys, *, also_below: str | None = None) -> None:
        self._keys = keys
        self._also_below = also_below if also_below is None or also_below.endswith("/") else also_below + "/"

    async def check(self, headers: Mapping[str, str], targets: Sequence[str], body: bytes) -> None:
        """`targets` are the paths with queries that OSS may have called: a proxy before us may have rewritten it.

        Raises `Unauthenticated`, `Forbidden`, and `KeyUnavailable` when the key cannot be fetched now.
        """
        signature = _decoded(headers, "Authorization")
        url = _decoded(headers, "x-oss-pub-key-url")
        address = key_address(url.decode("latin-1"), self._also_below)
        if address is None:
            raise Forbidden("x-oss-pub-key-url is no address of OSS's public key")
        texts = [string_to_sign(target, body) for target in targets]
        key = await self._keys.get(address)
        if not _is_signed(key, signature, texts):
            # OSS may have put another key there since ours was fetched.
            newer = await self._keys.newer(address)
            if newer is None or not _is_signed(newer, signature, texts):
                raise Forbidden("the signature is not OSS's for this address and body")


def _decoded(headers: Mapping[str, str], name: str) -> bytes:
    value = headers.get(name, "")
    if not value:
        raise Unauthenticated(f"only OSS calls this; the header {name} is missing")
    try:
        if len(value) > _MAX_HEADER_CHARACTERS:
            raise ValueError
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Unauthenticated(f"the header {name} is no Base64") from None


def _is_signed(key: RSAPublicKey, signature: bytes, texts: Sequence[bytes]) -> bool:
    """A check takes 25 us with 2048 bits and a small body, 0.2 ms with the largest: no work for a thread."""
    for text in texts:
        try:
            key.verify(signature, text, PKCS1v15(), MD5())  # noqa: S303 (OSS signs no other way)
        except InvalidSignature:
            continue
        return True
    return False
