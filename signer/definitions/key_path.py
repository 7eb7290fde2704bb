"""Paths of keys in the definitions, and names from a file as a message may show them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from signer.definitions.redaction import MASK, looks_secret

KeyPath = tuple[str | int, ...]
"""The keys and list indexes that lead to a value."""

_MAX_STEPS = 8
_NO_NAME = "''"
_PRINTABLE = re.compile(r"[\w.$@!{}*/-]{1,60}")


def printable_name(name: str) -> str:
    """Return a name from a file as a message may show it: short, printable, and masked if it looks like a secret."""
    if looks_secret(name):
        return MASK
    name = name.strip()
    match = _PRINTABLE.match(name)
    start = match[0] if match else ""
    return start if start == name else f"{start}…"


def format_path(path: Iterable[str | int]) -> str:
    """Return a path as text, like `apps.a.headers.x-oss-meta-a` or `apps.a.conditions[0]`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{printable_name(step) or _NO_NAME}" for step in path]
    if len(steps) > _MAX_STEPS:
        steps = [*steps[:3], ".…", steps[-1]]
    return "".join(steps).removeprefix(".")
