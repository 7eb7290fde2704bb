"""pydantic's findings in words that name the place, the key and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from signer.definitions import model
from signer.definitions.joined import MERGED, Joined
from signer.definitions.mistakes import Mistake
from signer.definitions.yaml_text import Path_

_CREDENTIALS = (model.EcsRamRole, model.AssumeRole, model.Oidc, model.DefaultChain, model.Static)

_MODELS: dict[tuple[str, ...], tuple[type[BaseModel], ...]] = {
    (): (model.Definitions,),
    ("server",): (model.Server,),
    ("credentials", "*"): _CREDENTIALS,
    ("defaults",): (model.Defaults,),
    ("apps", "*"): (model.App,),
    ("apps", "*", "callers"): (model.OpenCallers, model.ApiKeyCallers),
    ("apps", "*", "rate_limit"): (model.RateLimit,),
    ("apps", "*", "callback"): (model.Callback,),
}
"""Which keys are known where, for suggestions."""

_VARIABLES = {
    "assume_role": model.AssumeRole.documented_environment,
    "oidc": model.Oidc.documented_environment,
}
"""By type of credentials: the variables that give what is missing."""


def explain(detail: ErrorDetails, text: Joined, value: Any) -> Mistake:
    path = text.source(_path(detail["loc"], value))
    name = ".".join(map(str, path)) or "the file"
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1])
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        mend = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        where = ".".join(map(str, path[:-1])) or "the file"
        return Mistake(text.key_place(path), f"{where}: unknown key '{path[-1]}'; {mend}")
    if kind in ("missing", "union_tag_not_found"):
        missing = "type" if kind == "union_tag_not_found" else str(detail["loc"][-1])
        hint = _VARIABLES.get(str(detail["loc"][2]), {}).get(missing) if len(detail["loc"]) > 3 else None
        mend = f"; write it, or set {hint} in the environment" if hint else ""
        return Mistake(text.key_place(path), f"{name}: '{missing}' is missing{mend}")
    if kind == "union_tag_invalid":
        path = (*path, "type")
        near = difflib.get_close_matches(str(context.get("tag", "")), _tags(str(context["expected_tags"])), n=1)
        mend = f"; did you mean '{near[0]}'?" if near else ""
        message = f"must be one of {context['expected_tags']}{mend}"
    elif kind == "value_error":
        message = str(context["error"])
    elif kind == "literal_error":
        message = f"must be {context['expected']}"
    elif kind in ("model_type", "dict_type", "model_attributes_type"):
        message = "must be a mapping of keys to values"
    elif kind == "bool_type":
        message = "must be true or false"
    elif kind == "string_type":
        message = "must be text; put it in quotes"
    elif kind == "tuple_type":
        message = "must be a list"
    else:
        message = detail["msg"][:1].lower() + detail["msg"][1:]
    return Mistake(text.place(path), f"{'.'.join(map(str, path))}: {message}")


def _tags(expected: str) -> list[str]:
    return [tag.strip(" '") for tag in expected.split(",")]


def _path(loc: tuple[str | int, ...], value: Any) -> Path_:
    """pydantic's location without what the text does not hold: union tags, missing keys, marks of dict keys."""
    path: list[str | int] = []
    for step in loc:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(step)
    return tuple(path)


def _known_keys(path: Path_) -> list[str]:
    shape = tuple("*" if index == 1 and path[0] in MERGED else str(step) for index, step in enumerate(path))
    if shape[:1] == ("defaults",) and len(shape) > 1:
        shape = ("apps", "*", *shape[1:])
    return [name for entry in _MODELS.get(shape, ()) for name in entry.model_fields]


def near(name: str, known: Mapping[str, object]) -> str:
    """`; did you mean 'x'?`, or what is known."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known) or 'none'}"
