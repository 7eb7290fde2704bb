"""What an edit changes, in lines that people read; no secret in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from signer.definitions.masking import MASK, SECRET_KEYS
from signer.definitions.merge import MERGED, Joined
from signer.definitions.registry import Registry
from signer.definitions.yaml_text import Path_

Section = Mapping[str, str]
"""The values of one part of the definitions as text, by their dotted names."""

_A_REFERENCE = re.compile(r"\$\{(?!.*:-)[^}]*\}")
"""A reference and nothing else; a default, or text beside it, may be the secret itself."""


def printable_sections(registry: Registry) -> dict[str, Section]:
    """Each part of the definitions (`apps.wx1`, `credentials.r`, `server` ...) as it was written, defaults filled in.

    `${...}` stand as they were written; secrets in clear are masked.
    """
    text = registry.document
    if text is None:
        return {}
    return {name: {key: str(value) for key, value in _values(name, text).items()} for name in _names(text)}


def describe_changes(old: Registry, new: Registry) -> list[str]:
    """A line for each part that was added, removed or changed."""
    before, after = old.document, new.document
    if before is None or after is None:
        return []
    lines: list[str] = []
    for name in sorted(_touched(before, after)):
        # One at a time, since with new defaults it is all apps.
        was, is_now = ({name: _values(name, text)} if _holds(name, text) else {} for text in (before, after))
        lines += describe_differences(was, is_now)
    return lines


def describe_differences(old: Mapping[str, Mapping[str, object]], new: Mapping[str, Mapping[str, object]]) -> list[str]:
    """`+ apps.a`, `- apps.b`, and `~ apps.c: max_size 10MiB -> 20MiB`, by name."""
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            lines.append(f"+ {name}")
        elif name not in new:
            lines.append(f"- {name}")
        elif told := ", ".join(_told(old[name], new[name])):
            lines.append(f"~ {name}: {told}")
    return lines


def _told(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, "(unset)"), new.get(key, "(unset)")
        if before != after:
            equal_to_see = str(before) == str(after)
            yield f"{key} {before} has another value" if equal_to_see else f"{key} {before} -> {after}"


@dataclass(frozen=True, slots=True)
class _Value:
    """What may be shown of a value, and what it is: two secrets look the same."""

    shown: str
    value: Any = field(repr=False)

    def __str__(self) -> str:
        return self.shown


def _names(text: Joined) -> Iterator[str]:
    for key, value in text.value.items():
        if key in MERGED:
            yield from (f"{key}.{name}" for name in value)
        elif key not in ("version", "defaults"):
            yield key


def _touched(before: Joined, after: Joined) -> Iterator[str]:
    """The parts that may be others now; what was not read again is the same object."""
    new_defaults = before.value.get("defaults") != after.value.get("defaults")
    for section in before.value.keys() | after.value.keys():
        old, new = before.value.get(section) or {}, after.value.get(section) or {}
        if section in MERGED:
            for name in old.keys() | new.keys():
                if old.get(name) is not new.get(name) or (section == "apps" and new_defaults):
                    yield f"{section}.{name}"
        elif section not in ("version", "defaults") and old != new:
            yield section


def _holds(name: str, text: Joined) -> bool:
    section, _, entry = name.partition(".")
    return section in text.value and (not entry or entry in text.value[section])


def _values(name: str, text: Joined) -> dict[str, _Value]:
    section, _, entry = name.partition(".")
    value = text.value[section]
    value = value[entry] if entry else value
    if not isinstance(value, dict):
        return {"value": _Value(_text(value), value)}
    if section == "apps":
        value = {**(text.value.get("defaults") or {}), **value}
    return dict(_flat(value, text, (section, entry) if entry else (section,), ()))


def _flat(
    value: dict[str, Any], text: Joined, path: tuple[str, ...], below: tuple[str, ...]
) -> Iterator[tuple[str, _Value]]:
    for key, each in value.items():
        name = (*below, key)
        if isinstance(each, dict):
            yield from _flat(each, text, path, name)
            continue
        written = _text(_as_written(each, text, (*path, *name)))
        masked = key in SECRET_KEYS and not _A_REFERENCE.fullmatch(written)
        yield ".".join(name), _Value(MASK if masked else written, each)


def _as_written(value: Any, text: Joined, path: Path_) -> Any:
    if isinstance(value, list):
        return [_as_written(each, text, (*path, index)) for index, each in enumerate(value)]
    return text.reference(text.source(path)) or value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
