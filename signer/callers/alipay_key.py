"""The private key of an Alipay app, and the RSA2 signature of a request.

See: https://opendocs.alipay.com/common/02mse7
"""

import base64
from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

_MIN_BITS = 2048


class InvalidPrivateKey(ValueError):
    """A text is not a private key for RSA2; the message contains the fix and nothing of the text."""


def read_private_key(text: str) -> RSAPrivateKey:
    """Return an RSA key from PEM, or from the Base64 that Alipay's key tool writes (PKCS#8 or PKCS#1)."""
    key = _parse(text)
    if key is None:
        # Outside of `except`: the context of an exception would contain the text.
        raise InvalidPrivateKey(
            "this is not a private key; write the app's private key as Alipay's key tool shows it, or in PEM"
        )
    if not isinstance(key, RSAPrivateKey) or key.key_size < _MIN_BITS:
        raise InvalidPrivateKey(f"RSA2 needs an RSA key of {_MIN_BITS} bits or more; create one with Alipay's key tool")
    return key


def _parse(text: str) -> object:
    try:
        if "-----BEGIN" in text:
            return load_pem_private_key(text.strip().encode(), password=None)
        return load_der_private_key(base64.b64decode("".join(text.split()), validate=True), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def sign_parameters(key: RSAPrivateKey, parameters: Mapping[str, str]) -> str:
    """Return the value of `sign`: of the parameters that are not empty, sorted by name."""
    text = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()) if value)
    return base64.b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()
