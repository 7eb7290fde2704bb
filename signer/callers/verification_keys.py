"""Keys that tokens are checked with. A key is made for one algorithm, whatever a token asks for (RFC 8725, 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import HMACAlgorithm

_LEAST_SECRET_BYTES = 32
"""RFC 7518, 3.2: a secret for HS256 has at least the size of its hash."""

_LEAST_RSA_BITS = 2048
"""RFC 7518, 3.3."""

PUBLISHED = {"RSA": "RS256", "EC": "ES256"}
"""Of the keys in a JWKS, by their type; a shared secret is never published."""


class InvalidKey(ValueError):
    """A key in the definitions that cannot be used; the text says why and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    value: Any = field(repr=False)
    """As PyJWT takes it."""
    algorithm: str


def from_secret(secret: str) -> VerificationKey:
    """A secret that the issuer shares with us, for HS256. Raises `BadKey`."""
    try:
        value = HMACAlgorithm(sha256).prepare_key(secret)
    except jwt.InvalidKeyError:
        raise InvalidKey("looks like a key file or is empty; a public key stands under public_key") from None
    if len(value) < _LEAST_SECRET_BYTES:
        raise InvalidKey(f"is shorter than {_LEAST_SECRET_BYTES} bytes; make one with: openssl rand -base64 32")
    return VerificationKey(value, "HS256")


def from_pem(text: str) -> VerificationKey:
    """An RSA or P-256 public key, or a certificate that holds one. Raises `BadKey`."""
    if "PRIVATE KEY" in text:
        raise InvalidKey("is a private key, which only the issuer may have; give the public one: openssl pkey -pubout")
    pem = text.strip().encode(errors="replace")
    try:
        if b"BEGIN CERTIFICATE" in pem:
            return _made_for(x509.load_pem_x509_certificate(pem).public_key())
        return _made_for(load_pem_public_key(pem))
    except InvalidKey:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidKey("is no public key in PEM form, which starts with -----BEGIN PUBLIC KEY-----") from None


def from_jwk(published: dict[str, Any]) -> VerificationKey:
    """A key of a JWKS (RFC 7517) that signatures are checked with. Raises `BadKey`."""
    algorithm = PUBLISHED.get(str(published.get("kty")))
    operations = published.get("key_ops", ["verify"])
    if (
        algorithm is None
        or published.get("alg", algorithm) != algorithm
        or published.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
    ):
        raise InvalidKey("is no public key for RS256 or ES256 signatures")
    try:
        return _made_for(jwt.PyJWK.from_dict(published, algorithm).key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        raise InvalidKey("is no RSA or P-256 key") from None


def _made_for(key: object) -> VerificationKey:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise InvalidKey(f"is shorter than {_LEAST_RSA_BITS} bits")
        return VerificationKey(key, "RS256")
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return VerificationKey(key, "ES256")
    raise InvalidKey("is neither an RSA key, for RS256, nor one on P-256, for ES256")
