"""From the text of one or more YAML files to a registry, or to every mistake in them with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from signer.definitions import compile as compiling
from signer.definitions import model
from signer.definitions.mistakes import BadDefinitions, Mistake, Place
from signer.definitions.registry import App, Registry, Role, freeze
from signer.definitions.yaml_text import Located, Path_, load

_MERGED = ("credentials", "apps")
"""Sections that several files may each hold a part of; every other key stands in one file only."""

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


def parse(files: Mapping[str, str], environ: Mapping[str, str]) -> Registry:
    """`files`: text by name; `environ` fills `${NAME}`. Raises `BadDefinitions` with all mistakes found."""
    text = _join([load(name, files[name], environ) for name in sorted(files)])
    definitions = _validate(text, environ)
    return _compile(definitions, text)


@dataclass(slots=True)
class _Text:
    """All files as one value; `owners` tells which file a path came from."""

    value: dict[str, Any]
    owners: dict[Path_, Located]
    mistakes: list[Mistake]
    first: Located

    def source(self, path: Path_) -> Path_:
        """The path as it was written: what an app has from `defaults` stands there."""
        if len(path) > 2 and path[0] == "apps":
            owner = self.owners[path[:2]]
            if path[:3] not in owner.places and ("defaults", *path[2:]) in self._owner(("defaults",)).places:
                return ("defaults", *path[2:])
        return path

    def _owner(self, path: Path_) -> Located:
        return self.owners.get(path[:2]) or self.owners.get(path[:1]) or self.first

    def place(self, path: Path_) -> Place:
        return self._owner(path).place(path)

    def holds(self, path: Path_) -> bool:
        return path in self._owner(path).places

    def reference(self, path: Path_) -> str | None:
        return self._owner(path).references.get(path)

    def key_place(self, path: Path_) -> Place:
        return self._owner(path).keys.get(path) or self.place(path)


def _join(parts: list[Located]) -> _Text:
    if not parts:
        raise BadDefinitions([Mistake(Place("(no file)", 1, 1), "there is no *.yaml to read")])
    text = _Text({}, {}, [], parts[0])
    for part in parts:
        text.mistakes += part.mistakes
        if not isinstance(part.value, dict):
            text.mistakes.append(Mistake(part.places[()], "is no mapping; start with version: 1"))
            continue
        for key, value in part.value.items():
            if key in _MERGED and isinstance(value, dict):
                _merge(text, part, key, value)
            elif key in text.value and not (key == "version" and value == text.value[key]):
                first = text.owners[(key,)].keys[(key,)]
                text.mistakes.append(Mistake(part.keys[(key,)], f"'{key}' is already set at {first}"))
            else:
                text.value.setdefault(key, value)
                text.owners.setdefault((key,), part)
    return text


def _merge(text: _Text, part: Located, section: str, entries: dict[str, Any]) -> None:
    text.owners.setdefault((section,), part)
    target = text.value.setdefault(section, {})
    for name, entry in entries.items():
        if name in target:
            first = text.owners[(section, name)].keys[(section, name)]
            text.mistakes.append(Mistake(part.keys[(section, name)], f"{section}.{name} is already defined at {first}"))
            continue
        target[name] = entry
        text.owners[(section, name)] = part


def _validate(text: _Text, environ: Mapping[str, str]) -> model.Definitions:
    value = dict(text.value)
    defaults = value.get("defaults") or {}
    if isinstance(defaults, dict) and isinstance(value.get("apps"), dict):
        value["apps"] = {
            name: {**defaults, **app} if isinstance(app, dict) else app for name, app in value["apps"].items()
        }
    try:
        definitions = model.Definitions.model_validate(value, context={"environ": environ})
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        told = {mistake.place for mistake in text.mistakes}
        further = [_explain(detail, text, value) for detail in details]
        raise BadDefinitions(text.mistakes + [each for each in further if each.place not in told]) from None
    if text.mistakes:
        raise BadDefinitions(text.mistakes)
    return definitions


def _explain(detail: ErrorDetails, text: _Text, value: Any) -> Mistake:
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
    shape = tuple("*" if index == 1 and path[0] in _MERGED else str(step) for index, step in enumerate(path))
    if shape[:1] == ("defaults",) and len(shape) > 1:
        shape = ("apps", "*", *shape[1:])
    return [name for entry in _MODELS.get(shape, ()) for name in entry.model_fields]


def _compile(definitions: model.Definitions, text: _Text) -> Registry:
    mistakes: list[Mistake] = []
    apps: dict[str, App] = {}
    roles: dict[str, Role] = {}
    warnings: list[Mistake] = []
    for name in definitions.credentials:
        for path, message in compiling.credential_findings(name, definitions.credentials):
            mistakes.append(Mistake(text.place(("credentials", name, *path)), f"credentials.{name}: {message}"))
    if mistakes:
        raise BadDefinitions(mistakes)
    keys = {
        name: texts
        for name, entry in definitions.credentials.items()
        if (texts := compiling.key_texts(entry, partial(_written, text, name, entry))) is not None
    }
    for app_id, app in definitions.apps.items():
        wrong = list(_app_findings(app, definitions.credentials))
        for path, message in wrong:
            source = text.source(("apps", app_id, *path))
            owner = "defaults" if source[0] == "defaults" else f"apps.{app_id}"
            mistakes.append(Mistake(text.place(source), f"{owner}: {message}"))
        if wrong:
            continue
        key, role = compiling.role_of(app, app_id, definitions.credentials, keys)
        roles[key] = role
        apps[app_id] = compiling.compile_app(app_id, app, key)
        for path, message in compiling.warnings(app, role.entry):
            warnings.append(Mistake(text.place(("apps", app_id, *path)), f"apps.{app_id}: {message}"))
    if definitions.default_app is not None and definitions.default_app not in definitions.apps:
        place = text.place(("default_app",))
        mistakes.append(
            Mistake(
                place,
                f"default_app: no app '{definitions.default_app}'{_near(definitions.default_app, definitions.apps)}",
            )
        )
    if mistakes:
        raise BadDefinitions(mistakes)
    return freeze(definitions.server, apps, roles, definitions.default_app, tuple(warnings))


def _written(text: _Text, name: str, entry: model.CredentialEntry, field: str) -> str | None:
    """The `${...}` text of a credential's value; what only the environment gives is a reference to it."""
    path = ("credentials", name, field)
    variable = entry.documented_environment.get(field) if isinstance(entry, model.AssumedRole) else None
    if variable is not None and not text.holds(path):
        return f"${{{variable}}}"
    return text.reference(path)


def _app_findings(app: model.App, entries: Mapping[str, model.CredentialEntry]) -> Iterator[compiling.Finding]:
    yield from compiling.findings(app)
    entry = entries.get(app.credentials)
    if entry is None:
        yield ("credentials",), f"no credentials entry '{app.credentials}'{_near(app.credentials, entries)}"
        return
    for finding in (compiling.expires_finding(app, entry), compiling.session_policy_finding(app, entry)):
        if finding is not None:
            yield finding


def _near(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known) or 'none'}"
