"""Stage 2, merge: the files of a directory to one document."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from signer.definitions.mistakes import RELATED_PLACE, KeyPath, Violation
from signer.definitions.read import SourceFile

MERGED_SECTIONS = ("credentials", "apps")
"""Sections that several files may each contain a part of; every other key may be in one file only."""


@dataclass(slots=True)
class Document:
    """All files as one value."""

    files: Sequence[SourceFile]
    is_complete: bool
    """False: some files could not be read, and what is missing may be in them."""
    value: dict[str, Any] = field(default_factory=dict, repr=False)
    violations: list[Violation] = field(default_factory=list)
    owners: dict[KeyPath, SourceFile] = field(default_factory=dict, repr=False)
    """The file of each top-level key, and of each entry of the merged sections."""

    def owner(self, path: KeyPath) -> SourceFile:
        """Return the file that contains the value at a path."""
        return self.owners.get(path[:2]) or self.owners.get(path[:1]) or self.files[0]

    def written_path(self, path: KeyPath) -> KeyPath:
        """Return the path as written: what an app inherits is written under `defaults`."""
        if len(path) > 2 and path[0] == "apps":
            inherited: KeyPath = ("defaults", *path[2:])
            if not self.owner(path).has(path[:3]) and self.owner(("defaults",)).has(inherited):
                return inherited
        return path

    def has(self, path: KeyPath) -> bool:
        """Return whether there is a value at this path."""
        return self.owner(path).has(path)

    def template(self, path: KeyPath) -> str | None:
        """Return the text of a value that contains `${...}`, as written; None for other values."""
        return self.owner(path).templates.get(path)

    def add_duplicate(self, path: KeyPath, file: SourceFile, message: str) -> None:
        """Add a violation at a key of a file that an earlier file also has."""
        self.violations.append(Violation(path, message, at_key=True, file=file.name, related=path))

    def is_unreadable(self, path: KeyPath) -> bool:
        """Return whether the value could not be read, which is reported already."""
        return path in self.owner(path).reported


def merge(files: Sequence[SourceFile], *, is_complete: bool = True) -> Document:
    """Return the files, of which there is at least one, as one document; keys that two files set are its violations."""
    document = Document(files, is_complete)
    for file in files:
        for key, value in file.value.items():
            existing = document.value.get(key)
            if key in MERGED_SECTIONS and isinstance(value, dict) and (existing is None or isinstance(existing, dict)):
                _merge_section(document, file, key, value)
            elif key not in document.value:
                document.value[key] = value
                document.owners[(key,)] = file
            elif not (key in MERGED_SECTIONS and value is None) and not (key == "version" and value == existing):
                fix = f"keep one: only {' and '.join(MERGED_SECTIONS)} may be in several files"
                document.add_duplicate((key,), file, f"this key is already set at {RELATED_PLACE}; {fix}")
    return document


def _merge_section(document: Document, file: SourceFile, section: str, entries: dict[str, Any]) -> None:
    if document.value.get(section) is None:
        document.value[section] = {}
        document.owners[(section,)] = file
    merged = document.value[section]
    for name, entry in entries.items():
        if name in merged:
            message = f"this name is already used at {RELATED_PLACE}; rename or remove one of the two"
            document.add_duplicate((section, name), file, message)
        else:
            merged[name] = entry
            document.owners[(section, name)] = file
