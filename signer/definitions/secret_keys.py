"""Which keys of the definitions contain secrets, by the models."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import get_args

from pydantic import BaseModel, SecretStr

from signer.definitions import model


def _fields(entry: type[BaseModel]) -> Iterator[tuple[str, bool]]:
    """Yield each key of a model and of those derived from it, and whether it contains a secret."""
    for subclass in entry.__subclasses__():
        yield from _fields(subclass)
    for name, field in entry.model_fields.items():
        yield name, field.annotation is SecretStr or SecretStr in get_args(field.annotation)


SECRET_KEYS = frozenset(name for name, is_secret in _fields(model.StrictModel) if is_secret)
"""The keys that contain a secret."""

_OTHER_KEYS = frozenset(name for name, is_secret in _fields(model.StrictModel) if not is_secret)
_SOUNDS_SECRET = re.compile(r"secret|passw|passphrase|token|private_?key|api_?key|credential_?value", re.ASCII)


@lru_cache(maxsize=4096)
def is_secret_key(name: str) -> bool:
    """Return whether the value of a key is secret; a key that is unknown or misspelt counts when it sounds secret."""
    folded = name.lower().replace("-", "_")
    if folded in SECRET_KEYS:
        return True
    if folded in _OTHER_KEYS:
        return False
    return bool(_SOUNDS_SECRET.search(folded) or difflib.get_close_matches(folded, SECRET_KEYS, n=1, cutoff=0.8))
