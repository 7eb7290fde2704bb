"""A rule that the definitions break, by the path of the value; its place in a file is resolved later."""

from __future__ import annotations

from dataclasses import dataclass, replace

from signer.definitions.key_path import KeyPath

RELATED_PLACE = "{place}"
"""Stands in a message for the place of the related value."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with the value at a path, and how to fix it."""

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

    def below(self, parent: KeyPath) -> Violation:
        """Return the violation with its path continued from a parent's."""
        return replace(self, path=(*parent, *self.path))
