"""The files of a directory as one text, with the file that each part came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signer.definitions.mistakes import BadDefinitions, Mistake, Place
from signer.definitions.yaml_text import Path_, YamlFile

MERGED = ("credentials", "apps")
"""Sections that several files may each hold a part of; every other key stands in one file only."""


@dataclass(slots=True)
class Joined:
    """All files as one value; `owners` tells which file a path came from."""

    value: dict[str, Any]
    owners: dict[Path_, YamlFile]
    mistakes: list[Mistake]
    first: YamlFile

    def source(self, path: Path_) -> Path_:
        """The path as it was written: what an app has from `defaults` stands there."""
        if len(path) > 2 and path[0] == "apps":
            owner = self.owners[path[:2]]
            if not owner.holds(path[:3]) and self._owner(("defaults",)).holds(("defaults", *path[2:])):
                return ("defaults", *path[2:])
        return path

    def _owner(self, path: Path_) -> YamlFile:
        return self.owners.get(path[:2]) or self.owners.get(path[:1]) or self.first

    def place(self, path: Path_) -> Place:
        return self._owner(path).place(path)

    def holds(self, path: Path_) -> bool:
        return self._owner(path).holds(path)

    def reference(self, path: Path_) -> str | None:
        return self._owner(path).references.get(path)

    def key_place(self, path: Path_) -> Place:
        return self._owner(path).key_place(path)


def join(parts: list[YamlFile]) -> Joined:
    if not parts:
        raise BadDefinitions([Mistake(Place("(no file)", 1, 1), "there is no *.yaml to read")])
    text = Joined({}, {}, [], parts[0])
    for part in parts:
        text.mistakes += part.mistakes
        if not isinstance(part.value, dict):
            text.mistakes.append(Mistake(part.place(()), "is no mapping; start with version: 1"))
            continue
        for key, value in part.value.items():
            if key in MERGED and isinstance(value, dict):
                _merge(text, part, key, value)
            elif key in text.value and not (key == "version" and value == text.value[key]):
                first = text.owners[(key,)].key_place((key,))
                text.mistakes.append(Mistake(part.key_place((key,)), f"'{key}' is already set at {first}"))
            else:
                text.value.setdefault(key, value)
                text.owners.setdefault((key,), part)
    return text


def _merge(text: Joined, part: YamlFile, section: str, entries: dict[str, Any]) -> None:
    text.owners.setdefault((section,), part)
    target = text.value.setdefault(section, {})
    for name, entry in entries.items():
        if name in target:
            first = text.owners[(section, name)].key_place((section, name))
            text.mistakes.append(
                Mistake(part.key_place((section, name)), f"{section}.{name} is already defined at {first}")
            )
            continue
        target[name] = entry
        text.owners[(section, name)] = part
