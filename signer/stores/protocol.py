"""What every kind of store implements: load the definitions, and report when they may have changed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


class CannotRead(Exception):
    """The store returned no definitions; the text names it, the reason and the fix, and contains no secret."""

    is_transient = True
    """Whether the store may return definitions later without an edit of them."""


class StoreIsEmpty(CannotRead):
    """The store is reachable, but contains no definitions."""


class CannotUseText(CannotRead):
    """The store returned something that is not the text of definitions."""

    is_transient = False


class CannotWrite(Exception):
    """The store did not accept the definitions; the text gives the reason, and contains no secret."""


class RevisionConflict(CannotWrite):
    """The store contains another revision than the one to be replaced."""

    def __init__(self, location: str) -> None:
        super().__init__(f"{location}: changed meanwhile; pull, compare, and push again (or push --force)")


EMPTY_REVISION = ""
"""The revision of a store without definitions."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The definitions at one moment."""

    files: Mapping[str, str] = field(repr=False)
    """The text of each file by its name, as error messages show it."""
    revision: str
    """Changes whenever a text changes."""


class Store(Protocol):
    """A place where definitions are stored."""

    location: str
    """Its path or URL for logs and messages, without passwords."""

    async def load(self) -> Snapshot:
        """Return the definitions; raise `StoreIsEmpty` if there are none, else `CannotRead` if they cannot be read."""

    def watch(self) -> AsyncIterator[None]:
        """Yield whenever `load` may return something new; does not raise while the store is unreachable.

        Yield also when the store becomes unreachable or reachable, so that the result of the last reload is current.
        After `load` raised `CannotRead`, this is the only reason to load again.
        """

    async def close(self) -> None:
        """Close its connections."""


@runtime_checkable
class WritableStore(Protocol):
    """A store that `push` can write to."""

    async def save(self, text: str, expected_revision: str | None) -> str:
        """Replace the definitions with one file or a bundle, and return their new revision.

        `expected_revision` is the one to replace; None replaces any. Raise `RevisionConflict` if the store contains
        another one, `CannotWrite` if it does not accept the text, and `CannotRead` if its content cannot be compared.
        """
