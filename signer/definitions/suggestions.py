"""The nearest name to one that nobody knows, and how a name from a file may be repeated in a message."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from itertools import islice

from signer.definitions.masking import MASK, looks_secret

_ALIKE = 2
_MANY = 50
"""Among more names than these, only those that begin alike are compared: comparing is slow."""
_LISTED = 8
_STEPS = 8
_NO_NAME = "''"
_PLAIN = re.compile(r"[\w.$@!{}*/-]{1,60}")


class KnownNames:
    """The names that are known somewhere; they may be many, and asked after often."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._by_beginning: dict[str, list[str]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def suggestion(self, name: str) -> str:
        """`did you mean x?`, or what is known."""
        near = nearest(name, self._alike(name))
        if near:
            return f"did you mean {printable_name(near)}?"
        return f"known: {listed(self._known)}" if self._known else "none is defined"

    def _alike(self, name: str) -> Collection[str]:
        if len(self._known) <= _MANY:
            return self._known
        if not self._by_beginning:
            for each in self._known:
                self._by_beginning.setdefault(each[:_ALIKE], []).append(each)
        near = (each for each in self._by_beginning.get(name[:_ALIKE], ()) if abs(len(each) - len(name)) < 4)
        return list(islice(near, _MANY))


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that was probably meant."""
    folded = {_folded(each): each for each in known}
    close = difflib.get_close_matches(_folded(name)[:64], folded, n=1)
    return folded[close[0]] if close else None


def listed(names: Collection[str]) -> str:
    """`a, b, c`; of many the first ones."""
    shown = [printable_name(name) for name, _ in zip(names, range(_LISTED), strict=False)]
    more = len(names) - _LISTED
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def printable_name(name: str) -> str:
    """A name from a file as a message may hold it: short, printable, and no secret that slipped into its place."""
    match = _PLAIN.match(name)
    kept = match[0] if match else ""
    if looks_secret(name):
        return MASK
    return kept if kept == name else f"{kept}…"


def dotted(path: Iterable[str | int]) -> str:
    """`apps.a.headers.x-oss-meta-a`, `apps.a.conditions[0]`."""
    steps = list(path)
    named = [f"[{step}]" if isinstance(step, int) else f".{printable_name(step) or _NO_NAME}" for step in steps]
    if len(named) > _STEPS:
        named = [*named[:3], ".…", named[-1]]
    return "".join(named).removeprefix(".")


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
