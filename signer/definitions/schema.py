"""The JSON Schema of the YAML for editors, generated from the models."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from signer.definitions import model
from signer.definitions.quantities import format_duration, format_size

Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Return False: a title that repeats the key says nothing, and the value types have their own titles."""
        return False


def json_schema() -> str:
    """Return the JSON Schema as text, with the units of plain numbers in the descriptions."""
    return json.dumps(_with_units_in_descriptions(schema()), indent=2, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """Return the JSON Schema; `x-unit` says what a plain number means."""
    document = model.Definitions.model_json_schema(schema_generator=_Generator)
    definitions = document["$defs"]
    for name, each in [*definitions.items(), ("Definitions", document)]:
        _improve(each, getattr(model, name))
    # An app may inherit them.
    definitions["AppEntry"].pop("required")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "oss-signer definitions",
        "description": document.pop("description"),
        **document,
    }


def _improve(each: Schema, entry: type[BaseModel]) -> None:
    each.pop("title")
    for name, member in each["properties"].items():
        field = entry.model_fields[name]
        if "default" in member:
            member["default"] = _as_written(field.default, member)
            if member["default"] is None:
                del member["default"]
        each["properties"][name] = _with_names_checked(_with_references(_without_null(member)))
    if issubclass(entry, model.StsRole):
        for name, variable in entry.environment_variables.items():
            each["properties"][name]["description"] += f"; default: the environment variable `{variable}`"
        each["required"] = [name for name in each["required"] if name not in entry.environment_variables]
        each["required"] += ["type"] * ("type" not in each["required"])


def _as_written(default: Any, member: Schema) -> Any:
    """Return a default as it is written in YAML."""
    if isinstance(default, timedelta):
        return format_duration(default)
    if member.get("title") == "size":
        return default if default < 1000 else format_size(default)
    if isinstance(default, tuple) and len(default) == 1:
        return _as_written(default[0], member)
    if isinstance(default, BaseModel):
        return default.model_dump(mode="json", exclude_defaults=True)
    return list(default) if isinstance(default, tuple) else default


def _without_null(member: Schema) -> Schema:
    """Return `anyOf` of a type and null as the type itself, which editors explain better."""
    kinds = member.get("anyOf")
    if kinds is None or "$ref" in kinds[0] or kinds[-1] != {"type": "null"}:
        return member
    rest = {key: value for key, value in member.items() if key != "anyOf"}
    kind = kinds[0]
    types = kind["type"] if isinstance(kind["type"], list) else [kind["type"]]
    return {**kind, **rest, "type": [*types, "null"]}


def _with_units_in_descriptions(member: Any) -> Any:
    """Return the schema with each unit moved to the description, which editors show."""
    if isinstance(member, list):
        return [_with_units_in_descriptions(each) for each in member]
    if not isinstance(member, dict):
        return member
    unit = member.get("x-unit")
    described = (
        {"description": f"{member['description']} ({unit})"}
        if isinstance(unit, str) and "description" in member
        else {}
    )
    return {
        key: _with_units_in_descriptions(value) for key, value in member.items() if key != "x-unit" or not described
    } | described


def _with_names_checked(member: Schema) -> Schema:
    """Return a mapping's schema with a rule for its names; `patternProperties` would accept all other names."""
    patterns = member.pop("patternProperties", None)
    if patterns is None:
        return member
    ((pattern, value),) = patterns.items()
    return {**member, "propertyNames": {**member["propertyNames"], "pattern": pattern}, "additionalProperties": value}


def _with_references(member: Any) -> Any:
    """Return the schema with patterns that also accept `${NAME}` in the value."""
    if isinstance(member, list):
        return [_with_references(each) for each in member]
    if not isinstance(member, dict):
        return member
    member = {key: _with_references(value) for key, value in member.items()}
    if isinstance(member.get("pattern"), str):
        member["pattern"] += r"|\$\{"
    return member
