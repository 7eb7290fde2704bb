"""A mistake in the definitions with its place in a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_MISTAKES = 1000
"""How many mistakes are collected, so that ten thousand equal ones cost neither minutes nor a gigabyte of text."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is in a file; line and column count from 1."""

    file: str
    line: int
    column: int
    width: int = field(default=1, compare=False)
    """How many characters of the line it covers."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The line of a mistake without secrets, and the part of it to mark; `column` counts from 1."""

    text: str
    column: int
    width: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, where, and how to fix it; the message never contains a secret."""

    place: Place
    message: str
    excerpt: Excerpt | None = field(default=None, compare=False, repr=False)
    """For people at a terminal; logs and responses do without it."""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"

    def members(self) -> dict[str, str | int]:
        """Return the mistake as JSON members."""
        place = self.place
        return {"file": place.file, "line": place.line, "column": place.column, "message": self.message}


def sort_mistakes(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Return each mistake once, in the order of the files."""
    return sorted(set(mistakes), key=lambda m: (m.place.file, m.place.line, m.place.column, m.message))


class BadDefinitions(Exception):
    """The definitions cannot be used, in part or as a whole."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sort_mistakes(mistakes)[:MAX_MISTAKES]
        super().__init__("\n".join(map(str, self.mistakes)))
