"""What pydantic found wrong, in words of the YAML: what is wrong, then how to fix it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from signer.definitions import model
from signer.definitions.key_path import KeyPath, format_path
from signer.definitions.merge import MERGED_SECTIONS, Document
from signer.definitions.suggestions import nearest
from signer.definitions.violation import Violation

_CREDENTIALS = (model.EcsRamRole, model.AssumeRole, model.Oidc, model.DefaultChain, model.Static)
_CALLERS = (model.OpenCallers, model.WeChatCallers, model.JwtCallers, model.ApiKeyCallers)

_MODELS: dict[tuple[str, ...], tuple[type[BaseModel], ...]] = {
    (): (model.Definitions,),
    ("server",): (model.Server,),
    ("server", "tls"): (model.Tls,),
    ("credentials", "*"): _CREDENTIALS,
    ("defaults",): (model.Defaults,),
    ("apps", "*"): (model.App,),
    ("apps", "*", "callers"): _CALLERS,
    ("apps", "*", "callers", "*"): _CALLERS,
    ("apps", "*", "callback", "notify"): (model.Notify,),
    ("apps", "*", "downloads"): (model.Downloads,),
    ("apps", "*", "rate_limit"): (model.RateLimit,),
    ("apps", "*", "callback"): (model.Callback,),
}
"""Which keys are known where, for suggestions."""

_VARIABLES = {
    "assume_role": model.AssumeRole.documented_environment,
    "oidc": model.Oidc.documented_environment,
}
"""By type of credentials: the variables that give what is missing."""

_OTHER_NAMES = {
    "endpoint": "region", "prefix": "key_prefix", "dir": "key_prefix", "folder": "key_prefix", "path": "key_prefix",
    "role": "credentials", "expiration": "expires", "ttl": "expires", "timeout": "expires", "limit": "rate_limit",
    "types": "content_types", "mime_types": "content_types", "cors": "cors_origins", "origins": "cors_origins",
    "size": "max_size", "max_file_size": "max_size", "cname": "domain", "url": "domain",
}  # fmt: skip
"""What people call some keys of an app."""

_VARIABLE = re.compile(r"\$\(?[A-Za-z_][A-Za-z0-9_]*\)?")
_YES = frozenset({"yes", "on", "y", "enable", "enabled", "true"})
_NO = frozenset({"no", "off", "n", "disable", "disabled", "false"})


def explain(detail: ErrorDetails, document: Document, value: Any) -> Violation:
    """Return one finding of pydantic as a violation with the path as written.

    Args:
        detail: the finding.
        document: what is validated.
        value: the value that was validated, which for an app includes what it inherits.
    """
    inner = _path(detail["loc"], value)
    path = document.written_path(inner)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        siblings = _at(inner[:-1], value)
        kind_of_entry = siblings.get("type") if isinstance(siblings, dict) else None
        return Violation(path, _unknown_key(path, kind_of_entry), at_key=True)
    if kind in ("missing", "union_tag_not_found"):
        is_union = kind == "union_tag_not_found"
        message = _missing(detail, path, union=is_union)
        return Violation(path, message, at_key=True, may_be_elsewhere=not is_union)
    if kind == "union_tag_invalid":
        tags = str(context["expected_tags"]).replace("'", "").split(", ")
        message = f"must be one of {', '.join(tags)}{_meant(context.get('tag'), tags)}"
        return Violation((*path, "type"), message)
    if _at(inner, value) is None and kind != "value_error":
        return Violation(path, _empty(kind))
    return Violation(path, _complaint(kind, context, detail["msg"], _at(inner, value)))


def _complaint(kind: str, context: Mapping[str, Any], otherwise: str, found: Any) -> str:
    if kind == "value_error":
        variable = isinstance(found, str) and _VARIABLE.fullmatch(found)
        mend = "; a variable of the environment is written ${NAME}" if variable else ""
        return str(context["error"]) + mend + _hidden_character(found)
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        quoted = isinstance(found, str) and found in expected
        mend = "; take it out of its quotes" if quoted else _meant(found, expected)
        return f"must be {' or '.join(expected) if len(expected) < 3 else 'one of ' + ', '.join(expected)}{mend}"
    if kind == "bool_type":
        word = found.lower() if isinstance(found, str) else ""
        meant = "true" if word in _YES else "false" if word in _NO else None
        return f"must be true or false; write {meant}" if meant else "must be true or false"
    if kind == "string_type":
        return _no_text(found)
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"must be keys and values, not {_kind(found)}"
    if kind == "tuple_type":
        return f"must be a list, not {_kind(found)}; " + (
            "write [a, b]" if isinstance(found, dict) else "put it in [ ]"
        )
    if kind in ("string_too_short", "too_short"):
        least = context.get("min_length", 1)
        return "must not be empty" if least == 1 else f"must have at least {least} characters"
    return otherwise[:1].lower() + otherwise[1:]


def _empty(kind: str) -> str:
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "is empty; write keys and values below it, or {} for none"
    if kind == "tuple_type":
        return "is empty; write a list such as [a, b], or [] for none"
    return "is empty; write a value behind it"


def _no_text(found: Any) -> str:
    if isinstance(found, bool):
        return f'must be text, and this is true or false; put it in quotes: "{str(found).lower()}"'
    if isinstance(found, int):
        return "must be text, and this is a number; put it in quotes"
    if isinstance(found, dict) and all(value is None for value in found.values()):
        return "must be text, not keys and values; a text that starts with { needs quotes"
    return f"must be text, not {_kind(found)}"


def _kind(found: Any) -> str:
    for types, name in ((dict, "keys and values"), (list, "a list"), (bool, "true or false"), (int, "a number")):
        if isinstance(found, types):
            return name
    return "text"


def _hidden_character(found: Any) -> str:
    hidden = [c for c in found if unicodedata.category(c) in ("Cf", "Cc", "Zs") and c != " "] if _is_text(found) else []
    return f"; it holds the invisible character U+{ord(hidden[0]):04X}" if hidden else ""


def _is_text(found: Any) -> bool:
    return isinstance(found, str)


def _meant(name: Any, known: list[str]) -> str:
    near = nearest(name, known) if isinstance(name, str) else None
    return f"; did you mean {near}?" if near else ""


def _unknown_key(path: KeyPath, kind_of_entry: Any) -> str:
    name, parent = str(path[-1]), path[:-1]
    known = _known_keys(parent, kind_of_entry)
    if _is_blank(name[:1]):
        return f"unknown key; U+{ord(name[0]):04X} before it only looks like a space: indent with plain ones"
    if strange := _hidden_character(name):
        return f"unknown key{strange}; delete that"
    other = _OTHER_NAMES.get(name.lower()) if parent[:1] in (("apps",), ("defaults",)) else None
    elsewhere = _home_of(name)
    if other in known or not elsewhere:
        near = other if other in known else nearest(name, known)
        mend = f"did you mean {near}?" if near else f"known here: {', '.join(known)}"
    else:
        mend = f"it belongs {elsewhere}"
    return f"unknown key; {mend}"


def _is_blank(character: str) -> bool:
    return character not in ("", " ") and unicodedata.category(character) == "Zs"


def _home_of(name: str) -> str | None:
    """Where a key that is known, but not here, belongs."""
    for shape, models in _MODELS.items():
        if shape != () and any(name in each.model_fields for each in models):
            return f"under {format_path(shape).replace('*', 'NAME')}"
    return "to the top of the file" if name in model.Definitions.model_fields else None


def _missing(detail: ErrorDetails, path: KeyPath, *, union: bool) -> str:
    name = "type" if union else str(detail["loc"][-1])
    subject = f"'{name}' is missing"
    variable = _VARIABLES.get(str(detail["loc"][2]), {}).get(name) if len(detail["loc"]) > 3 else None
    if variable:
        return f"{subject}; write it, or set {variable} in the environment"
    if union:
        return f"{subject}; write one of {', '.join(map(_type_of, _models(path)))}"
    if path[:1] == ("apps",) and len(path) == 2:
        return f"{subject}; write it here, or under defaults for all apps"
    if not path:
        return f"{subject}; {'start the file with version: 1' if name == 'version' else f'write {name}: at the top'}"
    return subject


def _path(loc: tuple[str | int, ...], value: Any) -> KeyPath:
    """pydantic's location without what the text does not hold: union tags, missing keys, marks of dict keys."""
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


def _models(path: KeyPath) -> tuple[type[BaseModel], ...]:
    shape = tuple(
        "*" if isinstance(step, int) or (index == 1 and path[0] in MERGED_SECTIONS) else step
        for index, step in enumerate(path)
    )
    if shape[:1] == ("defaults",) and len(shape) > 1:
        shape = ("apps", "*", *shape[1:])
    return _MODELS.get(shape, ())


def _known_keys(path: KeyPath, kind_of_entry: Any) -> list[str]:
    models = _models(path)
    of_its_kind = [each for each in models if "type" in each.model_fields and _type_of(each) == kind_of_entry]
    return list(dict.fromkeys(name for entry in of_its_kind or models for name in entry.model_fields))


def _type_of(entry: type[BaseModel]) -> str:
    """What must stand in its `type`."""
    kinds: tuple[str, ...] = get_args(entry.model_fields["type"].annotation)
    return kinds[0]
