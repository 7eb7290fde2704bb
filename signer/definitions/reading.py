"""One reading of the definitions: each app against the frame of all else, until every mistake is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from signer.definitions import compile as compiling
from signer.definitions import model
from signer.definitions.checks import Entries, Finding, app_findings, credential_findings, server_findings
from signer.definitions.explain import explain
from signer.definitions.masking import MASK
from signer.definitions.merge import Joined
from signer.definitions.mistakes import MAX_MISTAKES, BadDefinitions, Mistake
from signer.definitions.registry import AccessKeyTemplate, App, Role
from signer.definitions.scalars import AppId
from signer.definitions.suggestions import KnownNames, dotted
from signer.definitions.warnings import app_cautions
from signer.definitions.yaml_text import Path_

_APP_ID: TypeAdapter[str] = TypeAdapter(AppId)
_ENTRY: TypeAdapter[model.CredentialEntry] = TypeAdapter(model.CredentialEntry)
_SHORT = 3
"""A value of fewer characters is no secret, and may stand in any word."""


@dataclass(frozen=True, slots=True)
class Frame:
    """All but the apps: what each app is read against."""

    definitions: model.Definitions
    defaults: Mapping[str, Any]
    """As they were written."""
    keys: Mapping[str, AccessKeyTemplate]

    def same_for_apps(self, other: Frame | None) -> bool:
        return (
            other is not None
            and self.defaults == other.defaults
            and self.keys == other.keys
            and self.definitions.credentials == other.definitions.credentials
            and (self.definitions.server.callback_queue is None) == (other.definitions.server.callback_queue is None)
        )


@dataclass(frozen=True, slots=True)
class Read:
    """An app that was read without a mistake."""

    written: Any
    app: App
    role: Role
    cautions: tuple[Finding, ...]


class Reading:
    def __init__(self, text: Joined, environ: Mapping[str, str]) -> None:
        self.frame: Frame | None = None
        self.apps: dict[str, Read] = {}
        self._text = text
        self._environ = environ
        self._mistakes = dict.fromkeys(text.mistakes)
        self._callback_queue = True

    def run(self, former: Frame | None, former_apps: Mapping[str, Read]) -> None:
        """Fills `frame` and `apps`; what has not changed is taken over. Raises `BadDefinitions`."""
        defaults = _mapping(self._text.value.get("defaults"))
        written = _mapping(self._text.value.get("apps"))
        credentials = _mapping(self._text.value.get("credentials"))
        known = KnownNames(credentials)
        definitions = self._definitions()
        entries = self._entries(credentials) if definitions is None else definitions.credentials
        self._check_frame(definitions, entries, known, written)
        if definitions is not None and not self._mistakes:
            self.frame = Frame(definitions, defaults, self._keys(definitions))
        if self.frame is None or not self.frame.same_for_apps(former):
            former_apps = {}
        for app_id, app in written.items():
            read = former_apps.get(app_id)
            if read is not None and read.written is app:
                self.apps[app_id] = read
            else:
                self._read_app(app_id, app, {**defaults, **app} if isinstance(app, dict) else app, entries, known)
            if len(self._mistakes) >= MAX_MISTAKES:
                break
        if self._mistakes:
            raise BadDefinitions(self._mistakes)

    def _definitions(self) -> model.Definitions | None:
        """All but the apps, which are read one by one; None after mistakes."""
        value = self._text.value
        if isinstance(value.get("apps"), dict):
            value = {**value, "apps": {}}
        try:
            return model.Definitions.model_validate(value, context={"environ": self._environ})
        except ValidationError as error:
            self._explain(error, (), self._text.value)
            return None

    def _entries(self, written: Mapping[str, Any]) -> dict[str, model.CredentialEntry]:
        """The credentials entries that are right by themselves, where not all are."""
        entries: dict[str, model.CredentialEntry] = {}
        for name, entry in written.items():
            try:
                entries[name] = _ENTRY.validate_python(entry, context={"environ": self._environ})
            except ValidationError:
                continue
        return entries

    def _check_frame(
        self,
        definitions: model.Definitions | None,
        entries: Entries,
        known: KnownNames,
        apps: Mapping[str, Any],
    ) -> None:
        for name in entries:
            for path, message in credential_findings(name, entries, known):
                if self._text.whole or path != ("source",):
                    self._wrong(("credentials", name, *path), message)
        if definitions is None:
            return
        self._callback_queue = definitions.server.callback_queue is not None
        for path, message in server_findings(definitions.server):
            self._wrong(("server", *path), message)
        default = definitions.default_app
        if default is not None and default not in apps and self._text.whole:
            self._wrong(("default_app",), f"there is no such app; {KnownNames(apps).suggestion(default)}")

    def _keys(self, definitions: model.Definitions) -> dict[str, AccessKeyTemplate]:
        return {
            name: texts
            for name, entry in definitions.credentials.items()
            if (texts := compiling.access_key_template(entry, partial(self._written, name, entry))) is not None
        }

    def _written(self, name: str, entry: model.CredentialEntry, field: str) -> str | None:
        """The `${...}` text of a credential's value; what only the environment gives is a reference to it."""
        path = ("credentials", name, field)
        variable = entry.documented_environment.get(field) if isinstance(entry, model.AssumedRole) else None
        if variable is not None and not self._text.holds(path):
            return f"${{{variable}}}"
        return self._text.reference(path)

    def _read_app(self, app_id: str, written: Any, merged: Any, entries: Entries, known: KnownNames) -> None:
        path: Path_ = ("apps", app_id)
        try:
            _APP_ID.validate_python(app_id)
        except ValidationError as error:
            self._mistakes[Mistake(self._text.key_place(path), f"{dotted(path)}: {_first_message(error)}")] = None
        try:
            app = model.App.model_validate(merged)
        except ValidationError as error:
            self._explain(error, path, {"apps": {app_id: merged}})
            return
        for below, message in app_findings(app_id, app, entries, known):
            if self._text.whole or app.credentials in known or below != ("credentials",):
                self._wrong((*path, *below), message)
        if app.callback is not None and app.callback.notify is not None and not self._callback_queue:
            self._wrong((*path, "callback", "notify"), "has no place to wait in; set server.callback_queue")
        if self.frame is not None and not self._mistakes:
            key, role = compiling.role_of(app, app_id, entries, self.frame.keys)
            compiled = compiling.compile_app(app_id, app, key)
            self.apps[app_id] = Read(written, compiled, role, tuple(app_cautions(app, role.entry)))

    def _wrong(self, path: Path_, message: str) -> None:
        source = self._text.source(path)
        if not self._text.left_out(source):
            self._add(source, Mistake(self._text.mark(source), f"{dotted(source)}: {message}"))

    def _explain(self, error: ValidationError, path: Path_, value: Any) -> None:
        for detail in error.errors(include_input=False, include_url=False):
            if detail["type"] == "missing" and not self._text.whole:
                continue
            source, mistake = explain({**detail, "loc": (*path, *detail["loc"])}, self._text, value)
            if detail["type"] in ("missing", "extra_forbidden") or not self._text.left_out(source):
                self._add(source, mistake)

    def _add(self, source: Path_, mistake: Mistake) -> None:
        """What a `${...}` stands for is never repeated, whatever a message says of the value it is in."""
        message = mistake.message
        for value in self._text.filled_in(source):
            if len(value) >= _SHORT:
                message = message.replace(value, MASK)
        self._mistakes[Mistake(mistake.place, message)] = None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first_message(error: ValidationError) -> str:
    return str(error.errors(include_input=False, include_url=False)[0].get("ctx", {}).get("error"))
