"""Keys of issuers, and valid and forged tokens."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

SHARED = "a-secret-that-two-sides-share-and-nobody-else"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Keys:
    """Keys for all tests: creating RSA keys takes long."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.other_rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.weak_rsa = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.other_ec = ec.generate_private_key(ec.SECP256R1())
        self.p384 = ec.generate_private_key(ec.SECP384R1())


def public_pem(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def jwk(key: PrivateKey, key_id: str | None, **members: Any) -> dict[str, Any]:
    """Return the public key as it is in a JWKS."""
    public = key.public_key()
    published = (
        RSAAlgorithm.to_jwk(public, True) if isinstance(public, rsa.RSAPublicKey) else ECAlgorithm.to_jwk(public, True)
    )
    published.pop("key_ops", None)
    return {**published, **({} if key_id is None else {"kid": key_id}), **members}


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a token that is valid for a minute, with changes; None removes a claim."""
    good = {"sub": "anna", "exp": int(time.time()) + 60, **changes}
    return {name: value for name, value in good.items() if value is not None}


def signed(key: Any, algorithm: str, key_id: str | None = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers=None if key_id is None else {"kid": key_id})


def hand_made(header: dict[str, Any], payload: Any, secret: bytes | None = None) -> str:
    """Return a token with any header and payload, signed with HMAC-SHA256 or without a signature."""
    text = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(payload).encode())}"
    return f"{text}.{'' if secret is None else encoded(hmac.digest(secret, text.encode(), 'sha256'))}"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
