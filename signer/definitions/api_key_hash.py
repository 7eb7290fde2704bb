"""The SHA-256 of an API key, which the definitions have instead of the key."""

import re
from hashlib import sha256

HASH_PATTERN = "^[0-9a-f]{64}$"
EXAMPLE_HASH = "0" * 64
"""A placeholder for the hash of a key in examples; no key with this hash is known."""
_EXAMPLE_KEYS = ("", "test", "KEY", "key", "secret", "password", "changeme")
_HASHES_OF_EXAMPLES = frozenset(sha256(key.encode()).hexdigest() for key in _EXAMPLE_KEYS)


def validate_hash(value: str) -> str:
    """Return the hash, or raise ValueError. The text does not repeat the value, which may be the API key itself."""
    if not re.fullmatch(HASH_PATTERN, value):
        raise ValueError("this must be the SHA-256 of the API key in hex; make it with: printf %s KEY | sha256sum")
    if value in _HASHES_OF_EXAMPLES:
        raise ValueError(
            "this is the SHA-256 of an example that anyone can guess; make a key with: openssl rand -hex 32"
        )
    return value
