"""Generates the JSON Schema of the YAML for editors, from the models: `python -m tools.json_schema > FILE`."""

import ast
import inspect
import json
import sys
from datetime import timedelta
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from signer.definitions import model
from signer.definitions.credential_model import StrictModel, StsRole
from signer.definitions.quantities import format_duration, format_rate, format_size
from signer.definitions.value_types import OR_REFERENCE
from tools.docstrings import require_docstrings

Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Return False: a title that repeats the key has no information, and the value types have their own titles."""
        return False

    def nullable_schema(self, schema: Any) -> Schema:
        """Return a type and null as one type, which editors explain better."""
        inner = self.generate_inner(schema["schema"])
        if "type" not in inner:
            return super().nullable_schema(schema)
        types = inner["type"] if isinstance(inner["type"], list) else [inner["type"]]
        return {**inner, "type": [*types, "null"]}

    def dict_schema(self, schema: Any) -> Schema:
        """Return a mapping with a rule for its names; pydantic's `patternProperties` would accept all other names."""
        member = super().dict_schema(schema)
        for pattern, value in member.pop("patternProperties", {}).items():
            names = {**member["propertyNames"], "pattern": pattern.removesuffix(OR_REFERENCE)}
            member |= {"propertyNames": names, "additionalProperties": value}
        return member


def json_schema() -> str:
    """Return the JSON Schema as text, with the units of plain numbers in the descriptions, which editors show."""
    document = schema()
    for each in (document, *document["$defs"].values()):
        for member in each["properties"].values():
            if unit := member.pop("x-unit", None):
                member["description"] = f"{member['description'].removesuffix('.')} ({unit})."
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """Return the JSON Schema; `x-unit` is the unit of a plain number."""
    document = model.Definitions.model_json_schema(schema_generator=_Generator)
    definitions = document["$defs"]
    for entry in model.all_models():
        if entry.__name__ in definitions or entry is model.Definitions:
            _improve(definitions.get(entry.__name__, document), entry)
    # An app may inherit them.
    definitions["AppEntry"].pop("required")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "oss-signer definitions",
        "description": document.pop("description"),
        **document,
    }


def _improve(each: Schema, entry: type[StrictModel]) -> None:
    each.pop("title")
    properties = each["properties"]
    descriptions = field_docstrings(entry)
    for name, member in properties.items():
        member["description"] = descriptions[name]
        if member.get("minLength", 1) > 1:
            # A reference may be shorter than the value that replaces it.
            member["minLength"] = 1
        if "default" in member:
            member["default"] = _as_written(entry.model_fields[name].default, member)
            if member["default"] is None:
                del member["default"]
    if entry.example_keys:
        each["examples"] = [{key: _example(properties[key]) for key in entry.example_keys}]
    if issubclass(entry, StsRole):
        for name, variable in entry.environment_variables.items():
            without_period = properties[name]["description"].removesuffix(".")
            properties[name]["description"] = f"{without_period}; default: the environment variable `{variable}`."
        each["required"] = [name for name in each["required"] if name not in entry.environment_variables]
        each["required"] += ["type"] * ("type" not in each["required"])


def field_docstrings(entry: type[StrictModel]) -> dict[str, str]:
    """Return the text below each field of a model, from its source: a running signer has no use for the texts."""
    found: dict[str, str] = {}
    for each in (each for each in reversed(entry.__mro__) if issubclass(each, StrictModel)):
        class_body = ast.parse(inspect.getsource(each)).body[0]
        for field, text in pairwise(ast.iter_child_nodes(class_body)):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                    found[name] = " ".join(docstring.split())
    return found


def _example(member: Schema) -> Any:
    return member["const"] if "const" in member else member["examples"][0]


def _as_written(default: Any, member: Schema) -> Any:
    """Return a default as it is written in YAML."""
    if isinstance(default, timedelta):
        return format_duration(default)
    if member.get("title") == "size":
        return default if default < 1000 else format_size(default)
    if member.get("title") == "rate" and default is not None:
        return format_rate(default)
    if isinstance(default, tuple) and len(default) == 1:
        return _as_written(default[0], member)
    if isinstance(default, BaseModel):
        return default.model_dump(mode="json", exclude_defaults=True)
    return list(default) if isinstance(default, tuple) else default


if __name__ == "__main__":
    require_docstrings()
    sys.stdout.write(json_schema())
