"""Keys that verify JSON Web Tokens. A key is used for one algorithm only, whatever the token's header names.

See: https://www.rfc-editor.org/rfc/rfc8725#section-3.1
"""

from base64 import b64decode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import HMACAlgorithm

_MIN_SECRET_BYTES = 32
"""The size of the hash of HS256. See: https://www.rfc-editor.org/rfc/rfc7518#section-3.2"""
_MIN_RSA_BITS = 2048
"""See: https://www.rfc-editor.org/rfc/rfc7518#section-3.3"""
JWKS_ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
"""The algorithms of published keys, by key type. A shared secret is never published."""


class InvalidKey(ValueError):
    """A key that cannot be used; the text gives the reason and contains nothing of the key."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key and the only algorithm that it is used for."""

    value: Any = field(repr=False)
    """In the form that PyJWT expects."""
    algorithm: str


def key_from_secret(secret: str, *, is_base64: bool = False) -> VerificationKey:
    """Return the HS256 key of a secret that the issuer shares with the signer, or raise `InvalidKey`.

    With `is_base64`, the key is the bytes that the text encodes, in either alphabet of RFC 4648.
    """
    try:
        value = HMACAlgorithm(sha256).prepare_key(_decode_base64(secret) if is_base64 else secret)
    except jwt.InvalidKeyError:
        raise InvalidKey("is empty or looks like a key file; write a public key under public_key") from None
    if len(value) < _MIN_SECRET_BYTES:
        raise InvalidKey(f"is shorter than {_MIN_SECRET_BYTES} bytes; create one with: openssl rand -base64 32")
    return VerificationKey(value, "HS256")


def _decode_base64(text: str) -> bytes:
    unified = "".join(text.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return b64decode(unified + "=" * (-len(unified) % 4), validate=True)
    except ValueError:
        raise InvalidKey("is not Base64; remove secret_encoding, or write the secret as the issuer shows it") from None


def key_from_pem(text: str) -> VerificationKey:
    """Return the RSA or P-256 public key of a PEM file, or of the certificate in it, or raise `InvalidKey`.

    Consoles and environment variables often contain a PEM text in one line, with `\\n` for each line break.
    """
    if "PRIVATE KEY" in text:
        raise InvalidKey("is a private key, which only the issuer may have; write its public key: openssl pkey -pubout")
    pem = text.replace("\\r", "").replace("\\n", "\n").strip().encode(errors="replace")
    try:
        if b"BEGIN CERTIFICATE" in pem:
            return _key_from_public_key(x509.load_pem_x509_certificate(pem).public_key())
        return _key_from_public_key(load_pem_public_key(pem))
    except InvalidKey:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidKey("is not a public key in PEM format, which starts with -----BEGIN PUBLIC KEY-----") from None


def key_from_jwk(jwk: dict[str, Any]) -> VerificationKey:
    """Return a key of a JWKS that verifies signatures, or raise `InvalidKey`.

    See: https://www.rfc-editor.org/rfc/rfc7517#section-4
    """
    algorithm = JWKS_ALGORITHMS.get(str(jwk.get("kty")))
    operations = jwk.get("key_ops", ["verify"])
    if (
        algorithm is None
        or jwk.get("alg", algorithm) != algorithm
        or jwk.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
    ):
        raise InvalidKey("is not a public key for RS256 or ES256 signatures")
    try:
        return _key_from_public_key(jwt.PyJWK.from_dict(jwk, algorithm).key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        raise InvalidKey("is not an RSA or P-256 key") from None


def _key_from_public_key(key: object) -> VerificationKey:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _MIN_RSA_BITS:
            raise InvalidKey(f"is shorter than {_MIN_RSA_BITS} bits")
        return VerificationKey(key, "RS256")
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return VerificationKey(key, "ES256")
    raise InvalidKey("is neither an RSA key (for RS256) nor a P-256 key (for ES256)")
