"""Definitions as they may be shown: `${...}` as written, and secrets masked wherever they are."""

import difflib
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, get_args

from pydantic import SecretStr

from signer.definitions import model
from signer.definitions.merge import MERGED_SECTIONS, Document
from signer.definitions.mistakes import KeyPath
from signer.definitions.redaction import MASK, URL_PASSWORD

_FIELDS = [each for entry in model.all_models() for each in entry.model_fields.items()]
_KNOWN_KEYS = frozenset(name for name, _ in _FIELDS)
SECRET_KEYS = frozenset(name for name, field in _FIELDS if SecretStr in (field.annotation, *get_args(field.annotation)))

_SOUNDS_SECRET = re.compile(r"secret|passw|passphrase|token|private_?key|api_?key|credential_?value", re.ASCII)
_REFERENCE = re.compile(r"\$\{(?!.*:-)[^}]*\}")
"""A reference and nothing else; a default, or text around it, may be the secret itself."""


def printable(value: Any, path: KeyPath, document: Document) -> Any:
    """Return a value of the definitions, masked below each key that contains a secret, without passwords of URLs.

    The path in an app may lead to a value that the app inherits.
    """
    if isinstance(value, dict):
        return {key: printable(each, (*path, key), document) for key, each in value.items()}
    if isinstance(value, list):
        return [printable(each, (*path, index), document) for index, each in enumerate(value)]
    written = document.template(document.written_path(path)) or value
    if is_secret_path(path):
        return written if isinstance(written, str) and _REFERENCE.fullmatch(written) else MASK
    return URL_PASSWORD.sub(MASK, written) if isinstance(written, str) else written


def secret_scalars(document: Document) -> Iterator[tuple[KeyPath, str]]:
    """Yield each text of a document that is secret, with its path."""
    for path, value in scalars(document.value):
        if isinstance(value, str) and value and is_secret_path(path):
            yield path, value


def is_secret_path(path: KeyPath) -> bool:
    """Return whether the value at a path is secret: it is at or below a key that contains a secret."""
    # The names of apps and entries are not keys.
    keys = (path[0], *path[2:]) if path[:1] and path[0] in MERGED_SECTIONS else path
    return any(isinstance(key, str) and is_secret_key(key) for key in keys)


@lru_cache(maxsize=4096)
def is_secret_key(name: str) -> bool:
    """Return whether the value of a key is secret; a key that is unknown or misspelt counts when it sounds secret."""
    folded = name.lower().replace("-", "_")
    if folded in _KNOWN_KEYS:
        return folded in SECRET_KEYS
    return bool(_SOUNDS_SECRET.search(folded) or difflib.get_close_matches(folded, SECRET_KEYS, n=1, cutoff=0.8))


def scalars(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield each single value below a value, with its path."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from scalars(each, (*path, key))
    else:
        yield path, value
