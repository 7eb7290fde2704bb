"""Compose an example of every key from the models' own examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, cast, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from signer.definitions import credential_model, model
from tools.json_schema import Schema, schema

_APP_ID = "wx1234567890abcdef"
_NAMES = {
    "ecs_ram_role": "instance",
    "assume_role": "uploader",
    "oidc": "pod",
    "default": "sdk",
    "static": "fixed",
}
"""The names of the entries by their type; the name of another type is the type itself."""
_OF_THE_OTHER_APP = frozenset({"per_caller_bytes", "per_app_bytes"})
"""Keys that exclude others of the first app."""


def full_example(words: Callable[[str], str] = str) -> str:
    """Return a YAML file with every key of an app and every type of credentials, its comments in another language."""
    return "".join(f"{line}\n" for line in _lines(words))


def _lines(words: Callable[[str], str]) -> Iterator[str]:
    yield "version: 1"
    yield f"default_app: {_APP_ID}"
    yield ""
    yield "server:"
    yield from _fields(model.Server, 1)
    yield ""
    yield "credentials:"
    for entry in get_args(get_args(credential_model.CredentialEntry)[0]):
        example = _own_example(entry)
        yield f"  {_NAMES.get(example['type'], example['type'])}:"
        yield from (f"    {name}: {_written(value)}" for name, value in example.items())
    yield ""
    yield "defaults:"
    yield "  region: cn-hangzhou"
    yield "  credentials: uploader"
    yield ""
    yield "apps:"
    yield f"  {_APP_ID}:"
    headings = {name: words(heading) for name, heading in model.AppEntry.headings.items()}
    yield from _fields(model.AppEntry, 2, headings)
    yield f"  another-app:              # {words('inherits the rest from defaults')}"
    yield "    bucket: receipts-prod"
    yield "    key_prefix: receipts/"
    yield '    key: "{uuid}.{ext}"'
    yield "    generate_signature: false"
    yield "    rate_limit: {per_caller: 30/m, per_caller_bytes: 500MiB/d, per_app_bytes: 2GiB/h}"


def _fields(entry: type[BaseModel], depth: int, headings: dict[str, str] | None = None) -> Iterator[str]:
    """Yield the keys in the order of the docs, which is that of `Defaults` for an app."""
    indent = "  " * depth
    order = dict.fromkeys(
        [*(model.Defaults.model_fields if issubclass(entry, model.AppEntry) else ()), *entry.model_fields]
    )
    for name in order:
        if name in _OF_THE_OTHER_APP:
            continue
        if heading := (headings or {}).get(name):
            yield f"{indent}# {heading}"
        value = _example(entry.model_fields[name])
        inner = next((each for each in _models(entry.model_fields[name].annotation)), None)
        if value is not None:
            yield f"{indent}{name}: {_written(value)}"
        elif inner is not None:
            yield f"{indent}{name}:"
            yield from _fields(inner, depth + 1)


def _example(field: FieldInfo) -> Any:
    """Return a field's own example, or that of its type; for a union of models, that of the last."""
    if field.examples:
        return field.examples[0]
    for each in reversed(_models(field.annotation)):
        return _own_example(each) or None
    for each in [*field.metadata, *(kind for inner in get_args(field.annotation) for kind in _metadata(inner))]:
        if examples := getattr(each, "json_schema", {}).get("examples"):
            return examples[0]
    return None


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__metadata__", ())


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models of a field's values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [each for inner in get_args(annotation) for each in _models(inner)]


@cache
def _schemas() -> dict[str, Schema]:
    return cast(dict[str, Schema], schema()["$defs"])


def _own_example(entry: type[BaseModel]) -> dict[str, Any]:
    return dict(_schemas()[entry.__name__].get("examples", [{}])[0])


def _written(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
