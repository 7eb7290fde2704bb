"""What every kind of store offers: the definitions as they are now, and a word when they may have changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


class CannotRead(Exception):
    """The store gave no definitions; the text names it, says why and how to mend it, and holds no secret."""


class NothingThere(CannotRead):
    """The store answers, but holds no definitions yet."""


class CannotWrite(Exception):
    """The store did not take the definitions; the text says why, and holds no secret."""


class ChangedMeanwhile(CannotWrite):
    """What the store holds is not what it was asked to replace."""

    def __init__(self, location: str) -> None:
        super().__init__(f"{location}: was changed meanwhile; pull, look, and push again (or push --force)")


NOTHING = ""
"""The revision of a store that holds no definitions yet."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The text of each file by its name, all of one moment; `revision` changes whenever a text does."""

    files: Mapping[str, str] = field(repr=False)
    revision: str


class Store(Protocol):
    """`location` is where it is, for people: without passwords."""

    location: str

    async def load(self) -> Snapshot:
        """Raises `CannotRead`, and `NothingThere` of it."""
        ...

    def watch(self) -> AsyncIterator[None]:
        """Yields each time that a `load` may give something new; never raises because the store is away.

        Going away and coming back count, so that the last reload tells whether edits reach this signer.
        """
        ...

    async def close(self) -> None: ...


@runtime_checkable
class WritableStore(Protocol):
    async def save(self, text: str, expected_revision: str | None) -> str:
        """Replaces the definitions if they still are of that revision (None: whatever they are); the new revision.

        Raises `CannotWrite`, and `ChangedMeanwhile` of it.
        """
        ...
