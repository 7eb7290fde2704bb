"""What an edit changes, in lines for people, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from signer.definitions.merge import MERGED_SECTIONS, Document
from signer.definitions.mistakes import KeyPath
from signer.definitions.printable import printable
from signer.definitions.registry import Registry

Section = Mapping[str, str]
"""The values of one part of the definitions as text, by their dotted names."""


def printable_sections(registry: Registry) -> dict[str, Section]:
    """Return each part of the definitions as written, with what an app inherits; secrets are masked.

    The parts are `apps.NAME`, `credentials.NAME` and the other top-level keys.
    """
    document = registry.document
    if document is None:
        return {}
    return {
        name: {key: str(value) for key, value in _values(name, document).items()} for name in _section_names(document)
    }


def describe_changes(old: Registry, new: Registry) -> list[str]:
    """Return a line for each part that was added, removed or changed."""
    before, after = old.document, new.document
    if before is None or after is None:
        return []
    lines: list[str] = []
    # One part at a time: with new defaults, all apps change.
    for name in sorted(_possibly_changed(before, after)):
        was, is_now = ({name: _values(name, each)} if _has(name, each) else {} for each in (before, after))
        lines += describe_differences(was, is_now)
    return lines


def describe_differences(old: Mapping[str, Mapping[str, object]], new: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return the differences of sections by name: `+ apps.a`, `- apps.b`, `~ apps.c: max_size 10MiB -> 20MiB`."""
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            lines.append(f"+ {name}")
        elif name not in new:
            lines.append(f"- {name}")
        elif changed := ", ".join(_changed_values(old[name], new[name])):
            lines.append(f"~ {name}: {changed}")
    return lines


def _changed_values(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, "(unset)"), new.get(key, "(unset)")
        if before != after:
            looks_equal = str(before) == str(after)
            yield f"{key} {before} has another value" if looks_equal else f"{key} {before} -> {after}"


@dataclass(frozen=True, slots=True)
class _Value:
    """A value and its printable text: two secrets look the same."""

    text: str
    value: Any = field(repr=False)

    def __str__(self) -> str:
        return self.text


def _section_names(document: Document) -> Iterator[str]:
    for key, value in document.value.items():
        if key in MERGED_SECTIONS:
            yield from (f"{key}.{name}" for name in value)
        elif key not in ("version", "defaults"):
            yield key


def _possibly_changed(before: Document, after: Document) -> Iterator[str]:
    """Yield the parts that may differ; what was not read again is the same object."""
    new_defaults = before.value.get("defaults") != after.value.get("defaults")
    for section in before.value.keys() | after.value.keys():
        old, new = before.value.get(section) or {}, after.value.get(section) or {}
        if section in MERGED_SECTIONS:
            for name in old.keys() | new.keys():
                if old.get(name) is not new.get(name) or (section == "apps" and new_defaults):
                    yield f"{section}.{name}"
        elif section not in ("version", "defaults") and old != new:
            yield section


def _has(name: str, document: Document) -> bool:
    section, _, entry = name.partition(".")
    return section in document.value and (not entry or entry in document.value[section])


def _values(name: str, document: Document) -> dict[str, _Value]:
    section, _, entry = name.partition(".")
    path: KeyPath = (section, entry) if entry else (section,)
    value = document.value[section][entry] if entry else document.value[section]
    if not isinstance(value, dict):
        return {"value": _Value(_as_text(printable(value, path, document)), value)}
    if section == "apps":
        value = {**(document.value.get("defaults") or {}), **value}
    return dict(_flatten(value, printable(value, path, document)))


def _flatten(value: dict[str, Any], shown: dict[str, Any], parents: str = "") -> Iterator[tuple[str, _Value]]:
    for key, each in value.items():
        if isinstance(each, dict):
            yield from _flatten(each, shown[key], f"{parents}{key}.")
        else:
            yield f"{parents}{key}", _Value(_as_text(shown[key]), each)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
