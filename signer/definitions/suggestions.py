"""Suggest the known name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from itertools import islice

from signer.definitions.key_path import printable_name

_MAX_COMPARED = 50
"""With more names than this, only those with the same beginning are compared, because comparing is slow."""
_BEGINNING_CHARACTERS = 2
_MAX_LISTED = 8


class KnownNames:
    """Names to suggest from; there may be many, and many suggestions."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._by_beginning: dict[str, list[str]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def suggestion(self, name: str) -> str:
        """Return `did you mean x?`, or the list of known names."""
        closest = nearest(name, self._similar(name))
        if closest:
            return f"did you mean {printable_name(closest)}?"
        return f"known: {listed(self._known)}" if self._known else "none is defined yet"

    def _similar(self, name: str) -> Collection[str]:
        if len(self._known) <= _MAX_COMPARED:
            return self._known
        if not self._by_beginning:
            for known in self._known:
                self._by_beginning.setdefault(known[:_BEGINNING_CHARACTERS], []).append(known)
        same_beginning = self._by_beginning.get(name[:_BEGINNING_CHARACTERS], ())
        return list(islice((known for known in same_beginning if abs(len(known) - len(name)) < 4), _MAX_COMPARED))


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is most like the name, or None if none is."""
    folded = {_folded(each): each for each in known}
    matches = difflib.get_close_matches(_folded(name)[:64], folded, n=1)
    return folded[matches[0]] if matches else None


def listed(names: Collection[str]) -> str:
    """Return the names as `a, b, c`; of many names, the first ones."""
    shown = [printable_name(name) for name in islice(names, _MAX_LISTED)]
    more = len(names) - _MAX_LISTED
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
