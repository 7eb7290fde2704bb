"""What pydantic found wrong, in words of the YAML: what is wrong, then how to fix it."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from signer.definitions import model
from signer.definitions.credential_model import AssumeRole, OidcRole
from signer.definitions.merge import MERGED_SECTIONS, Document
from signer.definitions.mistakes import KeyPath, Violation, format_path
from signer.definitions.odd_characters import odd_character
from signer.definitions.redaction import quote
from signer.definitions.suggestions import nearest, not_one_of

_OTHER_NAMES = {
    "endpoint": "region", "prefix": "key_prefix", "dir": "key_prefix", "folder": "key_prefix", "path": "key_prefix",
    "role": "credentials", "expiration": "expires", "ttl": "expires", "timeout": "expires", "limit": "rate_limit",
    "types": "content_types", "mime_types": "content_types", "cors": "cors_origins", "origins": "cors_origins",
    "size": "max_size", "max_file_size": "max_size", "cname": "domain", "url": "domain",
}  # fmt: skip
"""Names that other products give to keys of an app."""

_VARIABLE = re.compile(r"\$\(?[A-Za-z_][A-Za-z0-9_]*\)?")
_BOOLEANS = dict.fromkeys(("yes", "on", "y", "enable", "enabled", "true"), "true")
_BOOLEANS |= dict.fromkeys(("no", "off", "n", "disable", "disabled", "false"), "false")
_IS_MAPPING = frozenset({"model_type", "dict_type", "model_attributes_type"})


def explain(detail: ErrorDetails, document: Document, value: Any) -> Violation:
    """Return one finding of pydantic as a violation; an app in `value` includes what it inherits."""
    inner = _path(detail["loc"], value)
    path = document.written_path(inner)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        siblings = _at(inner[:-1], value)
        kind_of_entry = siblings.get("type") if isinstance(siblings, dict) else None
        return Violation(path, _unknown_key(path, kind_of_entry, _at(inner, value)), at_key=True)
    if kind == "missing":
        return Violation(path, _missing(detail["loc"], path), at_key=True, may_be_elsewhere=True)
    if kind == "union_tag_not_found":
        kinds = ", ".join(map(_type_of, _models_at(path)))
        return Violation(path, f"type is missing; write one of {kinds}", at_key=True)
    found = _at(inner, value)
    if kind == "union_tag_invalid":
        path = (*path, "type")
        tags = str(context["expected_tags"]).replace("'", "").split(", ")
        tag = document.template(path) or context.get("tag")
        return Violation(path, not_one_of(quote(tag), tag, tags))
    if found is None:
        return Violation(path, f"the value is empty; {_fix_empty(kind)}")
    shown = quote(document.template(path) or found)
    if kind == "value_error" and isinstance(inner[-1], int) and isinstance(found, str) and "," in found:
        return Violation(path, f"{shown} is several entries in one text; write each as its own, such as [a, b]")
    return Violation(path, _reject(kind, context, found, shown, detail["msg"]))


def _reject(kind: str, context: Mapping[str, Any], found: Any, shown: str, otherwise: str) -> str:
    """Return why a value was rejected and how to fix it; findings that have no text here keep pydantic's."""
    if kind == "value_error":
        reason = str(context["error"])
        is_variable = isinstance(found, str) and _VARIABLE.fullmatch(found)
        hint = "; a variable of the environment is written ${NAME}" if is_variable else ""
        # The other reasons are those of several keys, or of a value that must not be repeated.
        subject = f"{shown} is " if reason.startswith("not ") else ""
        return f"{subject}{reason}{hint}{_odd_character(found)}".replace("?; it", "? It")
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"{shown} is text; write it without quotes" if found in expected else not_one_of(shown, found, expected)
    if kind == "bool_type":
        word = found.lower() if isinstance(found, str) else ""
        unquoted = " without quotes" if word in ("true", "false") else ""
        return f"{shown} is not true or false; write {_BOOLEANS.get(word, 'one of them')}{unquoted}"
    if kind == "string_type":
        return _not_text(found)
    if kind in _IS_MAPPING:
        return f"{_type_name(found)} is here instead of keys and values; write them below the key, or in {{ }}"
    if kind == "tuple_type":
        fix = "write [a, b]" if isinstance(found, dict) else "put it in [ ]"
        return f"{_type_name(found)} is here instead of a list; {fix}"
    if kind == "too_short" and not isinstance(found, str):
        return "there are no entries; write at least one"
    if kind in ("string_too_short", "too_short"):  # the latter is that of a secret
        minimum = context["min_length"]
        too_short = f"the text is too short; write at least {minimum} characters"
        return "the text is empty; write one" if minimum == 1 else too_short
    if kind in ("int_type", "int_parsing", "int_from_float"):
        return f"{shown} is not a whole number; write one without quotes"
    if kind == "greater_than_equal":
        return f"{shown} is too small; write at least {context['ge']}"
    return otherwise[:1].lower() + otherwise[1:]


def _fix_empty(kind: str) -> str:
    if kind in _IS_MAPPING:
        return "write keys and values below it, or {} for none"
    return (
        "write a list such as [a, b], or [] for none"
        if kind == "tuple_type"
        else "write one after the colon, or remove the key"
    )


def _not_text(found: Any) -> str:
    if isinstance(found, bool | int):
        return f'{quote(found)} is not text; put it in quotes: "{quote(found)}"'
    if isinstance(found, dict) and all(value is None for value in found.values()):
        return "keys and values are here instead of text; put text that starts with { in quotes"
    return f"{_type_name(found)} is here instead of text; write a single value"


def _type_name(found: Any) -> str:
    names = ((dict, "a mapping"), (list, "a list"), (bool, "true or false"), (int, "a number"))
    return next((name for types, name in names if isinstance(found, types)), "text")


def _odd_character(found: Any) -> str:
    odd = odd_character(found) if isinstance(found, str) and "\n" not in found else None
    return "" if odd is None else f"; {odd}"


def _unknown_key(path: KeyPath, kind_of_entry: Any, found: Any) -> str:
    name, parent = str(path[-1]), path[:-1]
    if name[:1] != " " and unicodedata.category(name[:1] or "a") == "Zs":
        return f"unknown key; U+{ord(name[0]):04X} before it only looks like a space: indent with spaces"
    if odd := odd_character(name):
        return f"unknown key; {odd}"
    if _looks_like_app(path, found):
        return "this looks like an app, but is not under apps; indent it like the other apps"
    models = _models_at(parent)
    of_its_kind = [each for each in models if "type" in each.model_fields and _type_of(each) == kind_of_entry]
    known = list(dict.fromkeys(key for entry in of_its_kind or models for key in entry.model_fields))
    other = _OTHER_NAMES.get(name.lower()) if parent[:1] in (("apps",), ("defaults",)) else None
    elsewhere = _place_of_key(name)
    if elsewhere and other not in known:
        return f"unknown key; it belongs {elsewhere}"
    near = other if other in known else nearest(name, known)
    fix = f"did you mean {near}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key; {fix}"


def _looks_like_app(path: KeyPath, found: Any) -> bool:
    """Return whether an unknown key has the keys of an app below it."""
    is_place_of_app = len(path) == 2 and path[0] == "apps"
    return (
        isinstance(found, dict) and not is_place_of_app and len(found.keys() & model.AppEntry.model_fields.keys()) > 1
    )


def _place_of_key(name: str) -> str | None:
    """Return where a key belongs that is known elsewhere."""
    for shape, models in _MODELS.items():
        if shape and any(name in each.model_fields for each in models):
            return f"under {format_path(shape).replace('*', 'NAME')}"
    return "at the top level" if name in model.Definitions.model_fields else None


def _missing(loc: tuple[str | int, ...], path: KeyPath) -> str:
    name = str(loc[-1])
    variables = next((each.environment_variables for each in (AssumeRole, OidcRole) if _type_of(each) in loc[2:]), {})
    if name in variables:
        return f"{name} is missing; write it, or set {variables[name]} in the environment"
    if path[:1] == ("apps",) and len(path) == 2:
        return f"{name} is missing; write it here, or under defaults for all apps"
    if not path:
        fix = "start the file with version: 1" if name == "version" else f"write {name}: at the top level"
        return f"{name} is missing; {fix}"
    return f"{name} is missing; write it"


def _path(loc: tuple[str | int, ...], value: Any) -> KeyPath:
    """Return pydantic's location without the steps that are not in the YAML, such as union tags and missing keys."""
    path: list[str | int] = []
    for step in loc:
        if isinstance(value, str):
            break
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(step)
    return tuple(path)


def _at(path: KeyPath, value: Any) -> Any:
    for step in path:
        value = value[step]
    return value


def _type_of(entry: type[BaseModel]) -> str:
    """Return the value of `type` that an entry has."""
    return str(get_args(entry.model_fields["type"].annotation)[0])


Models = tuple[type[BaseModel], ...]


def _models_at(path: KeyPath) -> Models:
    """Return the models whose keys are known at a path."""
    shape = [step for step in path if isinstance(step, str)]
    if len(shape) > 1 and shape[0] in MERGED_SECTIONS:
        shape[1] = "*"
    elif len(shape) > 1 and shape[0] == "defaults":
        shape[:1] = ["apps", "*"]
    return _MODELS.get(tuple(shape), ())


def _models_below(path: KeyPath, models: Models) -> Iterator[tuple[KeyPath, Models]]:
    yield path, models
    for name, field in ((name, field) for each in models for name, field in each.model_fields.items()):
        inner = tuple(_models_in(field.annotation))
        if inner and path != ("defaults",):
            names = ("*",) if get_origin(field.annotation) is dict else ()
            yield from _models_below((*path, name, *names), inner)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


_MODELS = dict(_models_below((), (model.Definitions,)))
"""The models of each mapping in the YAML, by its path with `*` for a name."""
