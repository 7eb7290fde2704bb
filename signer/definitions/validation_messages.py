"""What pydantic found wrong, in words of the YAML: what is wrong, then how to fix it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from signer.definitions import caller_model, credential_model, model
from signer.definitions.merge import MERGED_SECTIONS, Document
from signer.definitions.mistakes import KeyPath, Violation, format_path
from signer.definitions.redaction import quote
from signer.definitions.suggestions import nearest

_CREDENTIALS = (
    credential_model.EcsRamRole,
    credential_model.AssumeRole,
    credential_model.OidcRole,
    credential_model.DefaultChain,
    credential_model.StaticCredential,
)
_CALLERS = (caller_model.OpenCallers, caller_model.WeChatCallers, caller_model.JwtCallers, caller_model.ApiKeyCallers)

_MODELS: dict[tuple[str, ...], tuple[type[BaseModel], ...]] = {
    (): (model.Definitions,),
    ("server",): (model.Server,),
    ("server", "tls"): (model.Tls,),
    ("credentials", "*"): _CREDENTIALS,
    ("defaults",): (model.Defaults,),
    ("apps", "*"): (model.AppEntry,),
    ("apps", "*", "callers"): _CALLERS,
    ("apps", "*", "callers", "*"): _CALLERS,
    ("apps", "*", "callback", "notify"): (model.Notify,),
    ("apps", "*", "downloads"): (model.Downloads,),
    ("apps", "*", "rate_limit"): (model.RateLimit,),
    ("apps", "*", "callback"): (model.Callback,),
}
"""The models whose keys are known at a path, for suggestions."""

_VARIABLES = {
    "assume_role": credential_model.AssumeRole.environment_variables,
    "oidc": credential_model.OidcRole.environment_variables,
}
"""The variables that give missing keys, by type of credentials."""

_OTHER_NAMES = {
    "endpoint": "region", "prefix": "key_prefix", "dir": "key_prefix", "folder": "key_prefix", "path": "key_prefix",
    "role": "credentials", "expiration": "expires", "ttl": "expires", "timeout": "expires", "limit": "rate_limit",
    "types": "content_types", "mime_types": "content_types", "cors": "cors_origins", "origins": "cors_origins",
    "size": "max_size", "max_file_size": "max_size", "cname": "domain", "url": "domain",
}  # fmt: skip
"""Names that other products give to keys of an app."""

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
    found = _at(inner, value)
    shown = quote(document.template(path) or found)
    if kind == "union_tag_invalid":
        path = (*path, "type")
        tags = str(context["expected_tags"]).replace("'", "").split(", ")
        return Violation(path, _not_one_of(document.template(path) or context.get("tag"), tags))
    return Violation(path, _empty(kind) if found is None else _reject(kind, context, detail["msg"], found, shown))


def _reject(kind: str, context: Mapping[str, Any], otherwise: str, found: Any, shown: str) -> str:
    """Return why a value was rejected, and how to fix it.

    Args:
        kind: pydantic's type of the finding.
        context: its details.
        otherwise: its message, for types that have none here.
        found: the value.
        shown: the value as a message may repeat it.
    """
    if kind == "value_error":
        reason = str(context["error"])
        is_variable = isinstance(found, str) and _VARIABLE.fullmatch(found)
        hint = "; a variable of the environment is written ${NAME}" if is_variable else ""
        # The other reasons are those of several keys, or of a value that must not be repeated.
        subject = f"{shown} is " if reason.startswith("not ") else ""
        return f"{subject}{reason}{hint}{_hidden_character(found)}"
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        if isinstance(found, str) and found in expected:
            return f"{shown} is text; write it without quotes"
        return _not_one_of(found, expected, shown)
    if kind == "bool_type":
        word = found.lower() if isinstance(found, str) else ""
        meant = "true" if word in _YES else "false" if word in _NO else "one of them"
        return f"{shown} is not true or false; write {meant}{' without quotes' if word in ('true', 'false') else ''}"
    if kind == "string_type":
        return _not_text(found)
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"{_type_name(found)} is here instead of keys and values; write them below the key, or in {{ }}"
    if kind == "tuple_type":
        return f"{_type_name(found)} is here instead of a list; " + (
            "write [a, b]" if isinstance(found, dict) else "put it in [ ]"
        )
    if kind == "too_short":
        return "there are no entries; write at least one"
    if kind == "string_too_short":
        minimum = context["min_length"]
        is_empty = minimum == 1
        return (
            "the text is empty; write one"
            if is_empty
            else f"the text is too short; write at least {minimum} characters"
        )
    if kind in ("int_type", "int_parsing", "int_from_float"):
        return f"{shown} is not a whole number; write one without quotes"
    if kind == "greater_than_equal":
        return f"{shown} is too small; write at least {context['ge']}"
    return otherwise[:1].lower() + otherwise[1:]


def _not_one_of(found: Any, known: list[str], shown: str = "") -> str:
    shown = shown or quote(found)
    if len(known) == 1:
        return f"{shown} is not supported; write {known[0]}"
    near = nearest(found, known) if isinstance(found, str) else None
    return f"{shown} is not one of {', '.join(known)}; {f'did you mean {near}?' if near else 'write one of these'}"


def _empty(kind: str) -> str:
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "the value is empty; write keys and values below it, or {} for none"
    if kind == "tuple_type":
        return "the value is empty; write a list such as [a, b], or [] for none"
    return "the value is empty; write one after the colon, or remove the key"


def _not_text(found: Any) -> str:
    if isinstance(found, bool | int):
        return f'{quote(found)} is not text; put it in quotes: "{quote(found)}"'
    if isinstance(found, dict) and all(value is None for value in found.values()):
        return "keys and values are here instead of text; put text that starts with { in quotes"
    return f"{_type_name(found)} is here instead of text; write a single value"


def _type_name(found: Any) -> str:
    names = ((dict, "a mapping"), (list, "a list"), (bool, "true or false"), (int, "a number"))
    return next((name for types, name in names if isinstance(found, types)), "text")


def _hidden_character(found: Any) -> str:
    if not isinstance(found, str) or "\n" in found:
        return ""
    hidden = [c for c in found if unicodedata.category(c) in ("Cf", "Cc", "Zs") and c != " "]
    return f"; it contains the invisible character U+{ord(hidden[0]):04X}" if hidden else ""


def _unknown_key(path: KeyPath, kind_of_entry: Any) -> str:
    name, parent = str(path[-1]), path[:-1]
    known = _known_keys(parent, kind_of_entry)
    if _is_blank(name[:1]):
        return f"unknown key; U+{ord(name[0]):04X} before it only looks like a space: indent with spaces"
    if hidden := _hidden_character(name):
        return f"unknown key{hidden}; delete it"
    other = _OTHER_NAMES.get(name.lower()) if parent[:1] in (("apps",), ("defaults",)) else None
    elsewhere = _place_of_key(name)
    if other in known or not elsewhere:
        near = other if other in known else nearest(name, known)
        fix = f"did you mean {near}?" if near else f"known here: {', '.join(known)}"
    else:
        fix = f"it belongs {elsewhere}"
    return f"unknown key; {fix}"


def _is_blank(character: str) -> bool:
    return character not in ("", " ") and unicodedata.category(character) == "Zs"


def _place_of_key(name: str) -> str | None:
    """Return where a key belongs that is known elsewhere."""
    for shape, models in _MODELS.items():
        if shape != () and any(name in each.model_fields for each in models):
            return f"under {format_path(shape).replace('*', 'NAME')}"
    return "at the top level" if name in model.Definitions.model_fields else None


def _missing(detail: ErrorDetails, path: KeyPath, *, union: bool) -> str:
    name = "type" if union else str(detail["loc"][-1])
    subject = f"{name} is missing"
    variable = _VARIABLES.get(str(detail["loc"][2]), {}).get(name) if len(detail["loc"]) > 3 else None
    if variable:
        return f"{subject}; write it, or set {variable} in the environment"
    if union:
        return f"{subject}; write one of {', '.join(map(_type_of, _models(path)))}"
    if path[:1] == ("apps",) and len(path) == 2:
        return f"{subject}; write it here, or under defaults for all apps"
    if not path:
        return (
            f"{subject}; {'start the file with version: 1' if name == 'version' else f'write {name}: at the top level'}"
        )
    return f"{subject}; write it"


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
    """Return the value of `type` that an entry has."""
    kinds: tuple[str, ...] = get_args(entry.model_fields["type"].annotation)
    return kinds[0]
