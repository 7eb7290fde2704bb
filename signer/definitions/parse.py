"""From the text of one or more YAML files to a registry, or to every mistake in them with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from signer.definitions import compile as compiling
from signer.definitions import model
from signer.definitions.explain import explain, near
from signer.definitions.joined import Joined, join
from signer.definitions.mistakes import BadDefinitions, Mistake
from signer.definitions.registry import App, KeyTexts, Registry, Role, freeze
from signer.definitions.yaml_text import Path_, YamlFile

_APP_ID: TypeAdapter[str] = TypeAdapter(model.AppId)


def parse(files: Mapping[str, str], environ: Mapping[str, str]) -> Registry:
    """`files`: text by name; `environ` fills `${NAME}`. Raises `BadDefinitions` with all mistakes found."""
    return Parser().read(files, environ)


@dataclass(frozen=True, slots=True)
class _Frame:
    """All but the apps: what each app is read against."""

    definitions: model.Definitions
    defaults: Mapping[str, Any]
    """As they were written."""
    keys: Mapping[str, KeyTexts]

    def same_for_apps(self, other: _Frame | None) -> bool:
        return (
            other is not None
            and self.defaults == other.defaults
            and self.keys == other.keys
            and self.definitions.credentials == other.definitions.credentials
        )


@dataclass(frozen=True, slots=True)
class _Read:
    """An app that was read without a mistake."""

    written: Any
    app: App
    role: Role
    warnings: tuple[compiling.Finding, ...]


class Parser:
    """Reads definitions again and again; what has not changed is taken over from the last time.

    Used by one thread at a time.
    """

    def __init__(self) -> None:
        self._files: dict[str, YamlFile] = {}
        self._frame: _Frame | None = None
        self._apps: dict[str, _Read] = {}

    def read(self, files: Mapping[str, str], environ: Mapping[str, str]) -> Registry:
        """`files`: text by name; `environ` fills `${NAME}`. Raises `BadDefinitions` with all mistakes found.

        After mistakes, what was read before still counts.
        """
        parts = self._parts(files, environ)
        text = join(list(parts.values()))
        frame, models = self._validate(text, environ)
        apps = self._compile(text, frame, models)
        self._files, self._frame, self._apps = parts, frame, apps
        return freeze(
            frame.definitions.server,
            {app_id: read.app for app_id, read in apps.items()},
            {read.app.role: read.role for read in apps.values()},
            frame.definitions.default_app,
            partial(_warnings, text, {app_id: read.warnings for app_id, read in apps.items() if read.warnings}),
            text,
        )

    def _parts(self, files: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, YamlFile]:
        parts: dict[str, YamlFile] = {}
        mistakes: list[Mistake] = []
        for name in sorted(files):
            known = self._files.get(name)
            try:
                fresh = known is None or not known.still_says(files[name], environ)
                parts[name] = YamlFile(name, files[name], environ) if known is None or fresh else known
            except BadDefinitions as error:
                mistakes += error.mistakes
        if mistakes:
            raise BadDefinitions(mistakes + [mistake for part in parts.values() for mistake in part.mistakes])
        return parts

    def _validate(self, text: Joined, environ: Mapping[str, str]) -> tuple[_Frame, dict[str, model.App]]:
        """The frame, and the models of the apps that were not read before."""
        complaints: list[Mistake] = []
        written = text.value.get("apps")
        try:
            value = {**text.value, "apps": {}} if isinstance(written, dict) else text.value
            definitions = model.Definitions.model_validate(value, context={"environ": environ})
        except ValidationError as error:
            complaints += _explained(error, (), text, text.value)
            definitions = None
        defaults = text.value.get("defaults") or {}
        defaults = defaults if isinstance(defaults, dict) else {}
        frame = None if definitions is None else _frame(definitions, defaults, text)
        if frame is None or not frame.same_for_apps(self._frame):
            self._apps = {}
        models: dict[str, model.App] = {}
        for app_id, app in written.items() if isinstance(written, dict) else ():
            read = self._apps.get(app_id)
            if read is not None and read.written is app:
                continue
            merged = {**defaults, **app} if isinstance(app, dict) else app
            path: Path_ = ("apps", app_id)
            try:
                _APP_ID.validate_python(app_id)
            except ValidationError as error:
                complaints += _explained(error, path, text, text.value)
            try:
                models[app_id] = model.App.model_validate(merged)
            except ValidationError as error:
                complaints += _explained(error, path, text, {"apps": {app_id: merged}})
        if complaints or text.mistakes or frame is None:
            told = {mistake.place for mistake in text.mistakes}
            raise BadDefinitions(text.mistakes + [each for each in complaints if each.place not in told])
        return frame, models

    def _compile(self, text: Joined, frame: _Frame, models: Mapping[str, model.App]) -> dict[str, _Read]:
        entries = frame.definitions.credentials
        mistakes = [
            Mistake(text.place(("credentials", name, *path)), f"credentials.{name}: {message}")
            for name in entries
            for path, message in compiling.credential_findings(name, entries)
        ]
        if mistakes:
            raise BadDefinitions(mistakes)
        apps: dict[str, _Read] = {}
        for app_id, written in text.value["apps"].items():
            app = models.get(app_id)
            if app is None:
                apps[app_id] = self._apps[app_id]
                continue
            wrong = list(_app_findings(app, entries))
            for path, message in wrong:
                source = text.source(("apps", app_id, *path))
                owner = "defaults" if source[0] == "defaults" else f"apps.{app_id}"
                mistakes.append(Mistake(text.place(source), f"{owner}: {message}"))
            if not wrong:
                key, role = compiling.role_of(app, app_id, entries, frame.keys)
                warnings = tuple(compiling.warnings(app, role.entry))
                apps[app_id] = _Read(written, compiling.compile_app(app_id, app, key), role, warnings)
        default = frame.definitions.default_app
        if default is not None and default not in text.value["apps"]:
            message = f"default_app: no app '{default}'{near(default, text.value['apps'])}"
            mistakes.append(Mistake(text.place(("default_app",)), message))
        if mistakes:
            raise BadDefinitions(mistakes)
        return apps


def _frame(definitions: model.Definitions, defaults: Mapping[str, Any], text: Joined) -> _Frame:
    keys = {
        name: texts
        for name, entry in definitions.credentials.items()
        if (texts := compiling.key_texts(entry, partial(_written, text, name, entry))) is not None
    }
    return _Frame(definitions, defaults, keys)


def _explained(error: ValidationError, path: Path_, text: Joined, value: Any) -> list[Mistake]:
    details = error.errors(include_input=False, include_url=False)
    return [explain({**detail, "loc": (*path, *detail["loc"])}, text, value) for detail in details]


def _written(text: Joined, name: str, entry: model.CredentialEntry, field: str) -> str | None:
    """The `${...}` text of a credential's value; what only the environment gives is a reference to it."""
    path = ("credentials", name, field)
    variable = entry.documented_environment.get(field) if isinstance(entry, model.AssumedRole) else None
    if variable is not None and not text.holds(path):
        return f"${{{variable}}}"
    return text.reference(path)


def _warnings(text: Joined, warnings: Mapping[str, tuple[compiling.Finding, ...]]) -> list[Mistake]:
    return [
        Mistake(text.place(("apps", app_id, *path)), f"apps.{app_id}: {message}")
        for app_id, found in warnings.items()
        for path, message in found
    ]


def _app_findings(app: model.App, entries: Mapping[str, model.CredentialEntry]) -> Iterator[compiling.Finding]:
    yield from compiling.findings(app)
    entry = entries.get(app.credentials)
    if entry is None:
        yield ("credentials",), f"no credentials entry '{app.credentials}'{near(app.credentials, entries)}"
        return
    for finding in (compiling.expires_finding(app, entry), compiling.session_policy_finding(app, entry)):
        if finding is not None:
            yield finding
