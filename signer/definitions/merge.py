"""The files of a directory as one text, with the file that each part came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signer.definitions.mistakes import BadDefinitions, Mistake, Place
from signer.definitions.suggestions import dotted, printable_name
from signer.definitions.yaml_text import Path_, YamlFile

_NOTHING = "there is nothing here yet; write version, credentials and apps, as docs/configuration.md shows"

MERGED = ("credentials", "apps")
"""Sections that several files may each hold a part of; every other key stands in one file only."""


@dataclass(slots=True)
class Joined:
    """All files as one value; `owners` tells which file a path came from."""

    value: dict[str, Any]
    owners: dict[Path_, YamlFile]
    mistakes: list[Mistake]
    parts: list[YamlFile]
    whole: bool = True
    """False: some files could not be read, and what is missing may stand in them."""

    def source(self, path: Path_) -> Path_:
        """The path as it was written: what an app has from `defaults` stands there."""
        if len(path) > 2 and path[0] == "apps":
            owner = self._owner(path)
            if not owner.holds(path[:3]) and self._owner(("defaults",)).holds(("defaults", *path[2:])):
                return ("defaults", *path[2:])
        return path

    def _owner(self, path: Path_) -> YamlFile:
        return self.owners.get(path[:2]) or self.owners.get(path[:1]) or self.parts[0]

    def place(self, path: Path_) -> Place:
        return self._owner(path).place(path)

    def mark(self, path: Path_) -> Place:
        """What to point at: the value; of a whole entry or app its name."""
        return self.key_place(path) if len(path) == 2 and path[0] in MERGED else self.place(path)

    def holds(self, path: Path_) -> bool:
        return self._owner(path).holds(path)

    def reference(self, path: Path_) -> str | None:
        return self._owner(path).references.get(path)

    def filled_in(self, path: Path_) -> list[str]:
        """What the `${...}` of a value stand for; may be secret."""
        return self._owner(path).filled_in(path)

    def left_out(self, path: Path_) -> bool:
        """Whether a value was left out because of a mistake that is told already."""
        return path in self._owner(path).left_out

    def text_of(self, name: str) -> str | None:
        return next((part.text for part in self.parts if part.name == name), None)

    def forget_places(self) -> None:
        for part in self.parts:
            part.forget_places()

    def key_place(self, path: Path_) -> Place:
        return self._owner(path).key_place(path)


def join(parts: list[YamlFile], *, whole: bool = True) -> Joined:
    """Raises `BadDefinitions` where there is nothing to read at all."""
    if not parts:
        raise BadDefinitions([Mistake(Place("(no file)", 1, 1), "there is no *.yaml here to read")] if whole else [])
    text = Joined({}, {}, [], parts, whole)
    for part in parts:
        text.mistakes += part.mistakes
        if not isinstance(part.value, dict):
            kind = "a list" if isinstance(part.value, list) else "no more than a value"
            message = f"this file is {kind}; it must be keys and values, of which the first is version: 1"
            text.mistakes.append(Mistake(part.place(()), message))
            text.whole = False
            continue
        for key, value in part.value.items():
            set_before = text.value.get(key)
            if key in MERGED and isinstance(value, dict) and (set_before is None or isinstance(set_before, dict)):
                _merge(text, part, key, value)
            elif set_before is not None and not (key == "version" and value == set_before):
                if key not in MERGED or value is not None:
                    first = text.owners[(key,)].key_place((key,))
                    spread = " and ".join(MERGED)
                    message = (
                        f"{printable_name(key)}: is already set at {first}; only {spread} may be spread over files"
                    )
                    text.mistakes.append(Mistake(part.key_place((key,)), message))
            else:
                text.value.setdefault(key, value)
                text.owners.setdefault((key,), part)
    if not text.value and not text.mistakes and whole:
        raise BadDefinitions([Mistake(parts[0].place(()), _NOTHING)])
    return text


def _merge(text: Joined, part: YamlFile, section: str, entries: dict[str, Any]) -> None:
    if text.value.get(section) is None:
        text.value[section] = {}
        text.owners[(section,)] = part
    target = text.value[section]
    for name, entry in entries.items():
        if name in target:
            first = text.owners[(section, name)].key_place((section, name))
            message = f"{dotted((section, name))}: is already defined at {first}"
            text.mistakes.append(Mistake(part.key_place((section, name)), message))
            continue
        target[name] = entry
        text.owners[(section, name)] = part
