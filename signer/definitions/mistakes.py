"""A mistake in the definitions, with its place; all that are found are told in one go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, where, and in the same words how to mend it. Never holds a value that could be secret."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"

    def members(self) -> dict[str, str | int]:
        """For programs."""
        place = self.place
        return {"file": place.file, "line": place.line, "column": place.column, "message": self.message}


class BadDefinitions(Exception):
    """The definitions cannot be used; nothing of them is."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        ordered = sorted(set(mistakes), key=lambda m: (m.place.file, m.place.line, m.place.column, m.message))
        super().__init__("\n".join(map(str, ordered)))
        self.mistakes = ordered
