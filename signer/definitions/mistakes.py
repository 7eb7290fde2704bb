"""A mistake in the definitions, with its place; all that are found are told in one go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_MISTAKES = 1000
"""How many are looked for at once, so that ten thousand equal ones cost neither minutes nor a gigabyte of text."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands; line and column count from 1."""

    file: str
    line: int
    column: int
    width: int = field(default=1, compare=False)
    """How many characters of the line it covers."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The line that a mistake stands in, secrets masked, and what of it to point at; `column` counts from 1."""

    text: str
    column: int
    width: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, where, and in the same words how to mend it. Never holds a value that could be secret."""

    place: Place
    message: str
    excerpt: Excerpt | None = field(default=None, compare=False, repr=False)
    """For people at a terminal; what is logged or sent goes without it."""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"

    def members(self) -> dict[str, str | int]:
        """For programs."""
        place = self.place
        return {"file": place.file, "line": place.line, "column": place.column, "message": self.message}


def in_order(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Each once, as they stand in the files."""
    return sorted(set(mistakes), key=lambda m: (m.place.file, m.place.line, m.place.column, m.message))


class BadDefinitions(Exception):
    """The definitions cannot be used; nothing of them is."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = in_order(mistakes)[:MAX_MISTAKES]
        super().__init__("\n".join(map(str, self.mistakes)))
