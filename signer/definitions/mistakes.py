"""Mistakes in the definitions: found at the path of a value, shown at its place in a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from signer.definitions.redaction import printable_name

KeyPath = tuple[str | int, ...]
"""The keys and list indexes that lead to a value."""

MAX_MISTAKES = 1000
"""How many mistakes are collected, so that ten thousand equal ones cost neither minutes nor a gigabyte of text."""

RELATED_PLACE = "{place}"
"""The placeholder in a message for the place of the related value."""

_MAX_STEPS = 8
_NO_NAME = "''"


def format_path(path: Iterable[str | int]) -> str:
    """Return a path as text, like `apps.a.headers.x-oss-meta-a` or `apps.a.conditions[0]`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{printable_name(step) or _NO_NAME}" for step in path]
    if len(steps) > _MAX_STEPS:
        steps = [*steps[:3], ".…", steps[-1]]
    return "".join(steps).removeprefix(".")


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with the value at a path, and how to fix it; its place in a file is resolved later."""

    path: KeyPath
    message: str
    at_key: bool = False
    """Whether the place to show is that of the key, not of the value."""
    shown_at: KeyPath | None = None
    """The path of what to show; None: the same."""
    file: str | None = None
    """The file that the path is looked up in; None: the file that the value was merged from."""
    related: KeyPath | None = None
    """Another value that the message refers to as `RELATED_PLACE`."""
    may_be_elsewhere: bool = False
    """Whether what is missing may be in another file."""
    is_transient: bool = False
    """Whether it may pass without an edit; see `Mistake.is_transient`."""

    def below(self, parent: KeyPath) -> Violation:
        """Return the violation with its path continued from a parent's."""
        return replace(self, path=(*parent, *self.path))


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
    is_transient: bool = field(default=False, compare=False)
    """Whether it may pass without an edit of this text, since it depends on a file that the text refers to."""

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

    @property
    def is_transient(self) -> bool:
        """Whether the same texts may be valid later, since no mistake is in the texts themselves."""
        return all(mistake.is_transient for mistake in self.mistakes)
