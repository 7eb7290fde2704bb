"""Suggest the known name that was probably meant."""

import difflib
from collections.abc import Collection
from itertools import islice

from signer.definitions.redaction import printable_name

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
        """Return `did you mean x?`, or the list of known names; of many names, the first ones."""
        if closest := nearest(name, self._similar(name)):
            return f"did you mean {printable_name(closest)}?"
        if not self._known:
            return "none is defined yet"
        more = len(self._known) - _MAX_LISTED
        shown = ", ".join(map(printable_name, islice(self._known, _MAX_LISTED)))
        return f"known: {shown}{f' and {more:,} more' if more > 0 else ''}"

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


def not_one_of(shown: str, value: object, known: Collection[str]) -> str:
    """Return why a value is rejected that must be one of a few, with a suggestion; `shown` is what may be printed."""
    if len(known) == 1:
        return f"{shown} is not supported; write {next(iter(known))}"
    near = nearest(value, known) if isinstance(value, str) else None
    return f"{shown} is not one of {', '.join(known)}; {f'did you mean {near}?' if near else 'write one of these'}"


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
