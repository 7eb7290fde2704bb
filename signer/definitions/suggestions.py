"""Suggest the known name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from itertools import islice

from signer.definitions.key_path import printable_name

_ALIKE = 2
_MANY = 50
"""Among more names than these, only those that begin alike are compared: comparing is slow."""
_LISTED = 8


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
        return f"known: {listed(self._known)}" if self._known else "none is defined yet"

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


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
