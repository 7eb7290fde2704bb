"""What an edit changes, in lines for people, without secrets."""

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
    return {_name(path): {key: each.text for key, each in _values(path, document).items()} for path in _parts(document)}


def describe_changes(old: Registry, new: Registry) -> list[str]:
    """Return a line for each part that was added, removed or changed."""
    before, after = old.document, new.document
    if before is None or after is None:
        return []
    lines: list[str] = []
    # One part at a time: with new defaults, all apps change.
    for path in sorted(
        (path for path in _parts(before) | _parts(after) if _may_differ(path, before, after)), key=_name
    ):
        was, is_now = ({_name(path): _values(path, each)} if each.has(path) else {} for each in (before, after))
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


def _parts(document: Document) -> dict[KeyPath, None]:
    """Return the paths of the apps, of the credentials entries, and of the other top-level keys."""
    ignored = {(name,) for name in (*MERGED_SECTIONS, "version", "defaults")}
    return {path: None for path in document.owners if path not in ignored}


def _name(path: KeyPath) -> str:
    return ".".join(map(str, path))


def _may_differ(path: KeyPath, before: Document, after: Document) -> bool:
    """Return whether a part may have changed; what was not read again is the same object."""
    was, is_now = _at(path, before), _at(path, after)
    new_defaults = path[0] == "apps" and before.value.get("defaults") != after.value.get("defaults")
    return new_defaults or (was is not is_now and (len(path) == 2 or was != is_now))


def _at(path: KeyPath, document: Document) -> Any:
    value: Any = document.value
    for step in path:
        value = (value or {}).get(step)
    return value


def _values(path: KeyPath, document: Document) -> dict[str, _Value]:
    value = _at(path, document)
    if not isinstance(value, dict):
        return {"value": _Value(_as_text(printable(value, path, document)), value)}
    if path[0] == "apps":
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
