"""Definitions as they may be shown: `${...}` as written, and secrets masked wherever they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from signer.definitions.key_path import KeyPath
from signer.definitions.merge import MERGED_SECTIONS, Document
from signer.definitions.redaction import MASK, URL_PASSWORD
from signer.definitions.secret_keys import is_secret_key

_REFERENCE = re.compile(r"\$\{(?!.*:-)[^}]*\}")
"""A reference and nothing else; a default, or text around it, may be the secret itself."""


def printable(value: Any, path: KeyPath, document: Document) -> Any:
    """Return a value of the definitions without its secrets.

    Everything below a key that contains a secret is masked, and the password of every URL.

    Args:
        value: a scalar, list or mapping.
        path: its path in the document; an app's path may lead to what it inherits.
        document: where it is from.
    """
    if isinstance(value, dict):
        return {key: printable(each, (*path, key), document) for key, each in value.items()}
    if isinstance(value, list):
        return [printable(each, (*path, index), document) for index, each in enumerate(value)]
    written = document.template(document.written_path(path)) or value
    if is_secret_path(path):
        return written if isinstance(written, str) and _REFERENCE.fullmatch(written) else MASK
    return URL_PASSWORD.sub(MASK, written) if isinstance(written, str) else written


def secrets_in(document: Document) -> Iterator[str]:
    """Yield the texts of a document that are secret."""
    for path, value in scalars(document.value):
        if isinstance(value, str) and value and is_secret_path(path):
            yield value


def scalars(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every scalar below a value with its path."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from scalars(each, (*path, key))
    else:
        yield path, value


def is_secret_path(path: KeyPath) -> bool:
    """Return whether the value at a path is secret: it is at or below a key that contains a secret."""
    # The names of apps and entries are not keys.
    keys = (path[0], *path[2:]) if path[:1] and path[0] in MERGED_SECTIONS else path
    return any(isinstance(key, str) and is_secret_key(key) for key in keys)
