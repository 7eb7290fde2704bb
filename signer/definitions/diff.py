"""What an edit changes, in lines that people read; no secret in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from signer.definitions import model
from signer.definitions.joined import Joined
from signer.definitions.registry import Registry

Section = Mapping[str, str]
"""The values of one part of the definitions as text, by their dotted names."""


def sections(registry: Registry) -> dict[str, Section]:
    """Each part of the definitions (`apps.wx1`, `credentials.r`, `server` ...) as it was written, defaults filled in.

    `${...}` stand as they were written; secrets in clear are masked.
    """
    return {} if registry.text is None else {name: _shown(name, registry.text) for name in _names(registry.text)}


def changes(old: Registry, new: Registry) -> list[str]:
    """A line for each part that was added, removed or changed."""
    before, after = old.text, new.text
    if before is None or after is None:
        return []
    names = dict.fromkeys([*_names(before), *_names(after)])
    changed = [name for name in names if not _same(name, before, after)]
    return differences(
        {name: _shown(name, before) for name in changed if _value(name, before) is not None},
        {name: _shown(name, after) for name in changed if _value(name, after) is not None},
    )


def differences(old: Mapping[str, Section], new: Mapping[str, Section]) -> list[str]:
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


def _told(old: Section, new: Section) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield f"{key} {old.get(key, '(unset)')} -> {new.get(key, '(unset)')}"


def _names(text: Joined) -> Iterator[str]:
    for key, value in text.value.items():
        if key in ("apps", "credentials"):
            yield from (f"{key}.{name}" for name in value)
        elif key not in ("version", "defaults"):
            yield key


def _value(name: str, text: Joined) -> Any:
    section, _, entry = name.partition(".")
    value = text.value.get(section)
    return (value or {}).get(entry) if entry else value


def _same(name: str, before: Joined, after: Joined) -> bool:
    old, new = _value(name, before), _value(name, after)
    if name.startswith("apps.") and before.value.get("defaults") != after.value.get("defaults"):
        return False
    return old is new or (old == new and not name.startswith("credentials."))


def _shown(name: str, text: Joined) -> Section:
    section, _, entry = name.partition(".")
    value = _value(name, text)
    if not isinstance(value, dict):
        return {"value": _text(value)}
    if section == "apps":
        value = {**(text.value.get("defaults") or {}), **value}
    path = (section, entry) if entry else (section,)
    return dict(_flat(value, text, path, ()))


def _flat(
    value: dict[str, Any], text: Joined, path: tuple[str, ...], below: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    for key, each in value.items():
        name = (*below, key)
        if isinstance(each, dict):
            yield from _flat(each, text, path, name)
            continue
        written = text.reference(text.source((*path, *name)))
        secret = key in _SECRET_KEYS and (written is None or ":-" in written)
        yield ".".join(name), "***" if secret else written or _text(each)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _secret_keys(entry: type[BaseModel]) -> Iterator[str]:
    for subclass in entry.__subclasses__():
        yield from _secret_keys(subclass)
    for name, field in entry.model_fields.items():
        if field.annotation is SecretStr or SecretStr in get_args(field.annotation):
            yield name


_SECRET_KEYS = frozenset(_secret_keys(model.Entry))
