"""What every kind of store offers: the definitions as they are now, and a word when they may have changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


class CannotRead(Exception):
    """The store gave no definitions; the text names it, says why and how to mend it, and holds no secret."""


class CannotWrite(Exception):
    """The store did not take the definitions; the text says why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The text of each file by its name, all of one moment; `revision` changes whenever a text does."""

    files: Mapping[str, str] = field(repr=False)
    revision: str


class Store(Protocol):
    """`location` is where it is, for people: without passwords."""

    location: str

    async def load(self) -> Snapshot:
        """Raises `CannotRead`."""
        ...

    def watch(self) -> AsyncIterator[None]:
        """Yields each time that a `load` may give something new; never raises because the store is away."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class WritableStore(Protocol):
    async def save(self, text: str, expected_revision: str | None) -> str:
        """Replaces the definitions if they still are of that revision (None: whatever they are); the new revision.

        Raises `CannotWrite`.
        """
        ...
