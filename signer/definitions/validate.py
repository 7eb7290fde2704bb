"""Stage 3, validate: a document against the models and the checks, until every violation is found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from signer.definitions import model
from signer.definitions.checks.app import check_app
from signer.definitions.checks.credentials import Entries, check_entry
from signer.definitions.checks.remote_store import check_remote_store
from signer.definitions.checks.server import check_server
from signer.definitions.credential_model import CredentialEntry
from signer.definitions.interpolation import reference_values
from signer.definitions.merge import Document
from signer.definitions.mistakes import MAX_MISTAKES, KeyPath, Violation
from signer.definitions.printable import secret_scalars
from signer.definitions.redaction import MAX_QUOTED, mask_parts, mask_quoted, quote
from signer.definitions.registry import AccessKeyTemplate
from signer.definitions.roles import access_key_templates
from signer.definitions.suggestions import KnownNames
from signer.definitions.validation_messages import explain
from signer.definitions.value_types import AppId
from signer.environment import Variables

_APP_ID: TypeAdapter[str] = TypeAdapter(AppId)
_ENTRY: TypeAdapter[CredentialEntry] = TypeAdapter(CredentialEntry)
_EMPTY = "there is nothing in this file; write version, credentials and apps as docs/configuration.md shows"


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """Everything but the apps: what each app is validated against."""

    definitions: model.Definitions
    """With no apps."""
    defaults: Mapping[str, Any]
    """As written."""
    access_keys: Mapping[str, AccessKeyTemplate]
    """By the name of the credentials entry."""

    def is_same_for_apps(self, other: SharedSettings) -> bool:
        """Return whether an app that is valid with these settings is the same with the others."""
        return (
            self.defaults == other.defaults
            and self.access_keys == other.access_keys
            and self.definitions.credentials == other.definitions.credentials
            and _server_facts(self.definitions.server) == _server_facts(other.definitions.server)
        )


@dataclass(frozen=True, slots=True)
class Baseline:
    """Definitions that were accepted: an app that is the same as there needs no validation."""

    shared: SharedSettings
    apps: Mapping[str, Any] = field(repr=False)
    """As written."""


@dataclass(slots=True)
class Validation:
    """The result: either violations, or what was accepted."""

    violations: list[Violation]
    accepted: Baseline | None = None
    changed_apps: dict[str, model.AppEntry] = field(default_factory=dict)
    """The apps that are not the same as in the previous baseline."""


def validate(document: Document, environ: Mapping[str, str], previous: Baseline | None = None) -> Validation:
    """Return the violations in a document, or its validated models.

    Variables of the environment stand in for keys of credentials. Apps that are the same in `previous`, which was
    accepted last, are not validated again.
    """
    if not document.value:
        return Validation([Violation((), _EMPTY)] if document.is_complete else [])
    return _Validator(document, environ).run(previous)


class _Validator:
    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self._document = document
        self._environ = environ
        self._violations = dict.fromkeys(document.violations)
        self._credentials, self._defaults, self._apps = (
            _mapping(document.value.get(name)) for name in ("credentials", "defaults", "apps")
        )
        self._names = KnownNames(self._credentials)

    def run(self, previous: Baseline | None) -> Validation:
        definitions = self._validate_shared()
        entries = self._valid_entries() if definitions is None else definitions.credentials
        self._check_shared(definitions, entries)
        if isinstance(self._environ, Variables):
            self._add_all((), check_remote_store(self._document, self._environ))
        shared = None
        if definitions is not None and not self._violations:
            access_keys = access_key_templates(entries, self._document)
            shared = SharedSettings(definitions, self._defaults, access_keys)
        accepted = previous.apps if previous and shared and shared.is_same_for_apps(previous.shared) else {}
        server = None if definitions is None else definitions.server
        changed: dict[str, model.AppEntry] = {}
        for app_id, app in self._apps.items():
            if app_id not in accepted or app is not accepted[app_id]:
                validated = self._validate_app(app_id, app, entries, server)
                if validated is not None:
                    changed[app_id] = validated
            if len(self._violations) >= MAX_MISTAKES:
                break
        if shared is None or self._violations:
            return Validation(list(self._violations))
        return Validation([], Baseline(shared, self._apps), changed)

    def _validate_shared(self) -> model.Definitions | None:
        """Return everything but the apps; None after violations."""
        value = self._document.value
        without_apps = {**value, "apps": {}} if isinstance(value.get("apps"), dict) else value
        try:
            return model.Definitions.model_validate(without_apps, context={"environ": self._environ})
        except ValidationError as error:
            self._explain(error, (), value)
            return None

    def _valid_entries(self) -> dict[str, CredentialEntry]:
        """Return the credentials entries that are valid by themselves, where not all are."""
        entries: dict[str, CredentialEntry] = {}
        for name, entry in self._credentials.items():
            with suppress(ValidationError):
                entries[name] = _ENTRY.validate_python(entry, context={"environ": self._environ})
        return entries

    def _check_shared(self, definitions: model.Definitions | None, entries: Entries) -> None:
        for name in entries:
            self._add_all(("credentials", name), check_entry(name, entries, self._names))
        if definitions is None:
            return
        self._add_all(("server",), check_server(definitions.server))
        default = definitions.default_app
        if default is not None and default not in self._apps:
            message = f"{quote(default)} is not an app; {KnownNames(self._apps).suggestion(default)}"
            self._add(Violation(("default_app",), message, may_be_elsewhere=True))

    def _validate_app(
        self, app_id: str, written: Any, entries: Entries, server: model.Server | None
    ) -> model.AppEntry | None:
        path: KeyPath = ("apps", app_id)
        with_defaults = {**self._defaults, **written} if isinstance(written, dict) else written
        try:
            _APP_ID.validate_python(app_id)
        except ValidationError as error:
            reason = error.errors(include_input=False, include_url=False)[0]["ctx"]["error"]
            self._add(Violation(path, f"this name is {reason}", at_key=True))
        try:
            app = model.AppEntry.model_validate(with_defaults)
        except ValidationError as error:
            self._explain(error, path, {"apps": {app_id: with_defaults}})
            return None
        self._add_all(path, check_app(app_id, app, entries, self._names, server=server))
        return app

    def _explain(self, error: ValidationError, path: KeyPath, value: Any) -> None:
        for detail in error.errors(include_input=False, include_url=False):
            self._add(explain({**detail, "loc": (*path, *detail["loc"])}, self._document, value))

    def _add_all(self, path: KeyPath, violations: Iterable[Violation]) -> None:
        for violation in violations:
            self._add(violation.below(path))

    def _add(self, violation: Violation) -> None:
        """Add a violation, unless it follows from a value or a file that could not be read."""
        path = self._document.written_path(violation.path)
        if violation.may_be_elsewhere and not self._document.is_complete:
            return
        if self._document.is_unreadable(path) and not violation.at_key:
            return
        template = self._document.template(path) or ""
        message = self._masked(violation.message, template)
        is_transient = violation.is_transient or self._depends_on_file(template)
        self._violations[replace(violation, path=path, message=message, is_transient=is_transient)] = None

    def _depends_on_file(self, template: str) -> bool:
        """Return whether another content of a file changes the value of the template."""
        can_change = isinstance(self._environ, Variables) and self._environ.can_change
        return "${file:" in template or (can_change and "${" in template)

    def _masked(self, message: str, template: str) -> str:
        """Return the message without secrets and without the values of `${...}` in it."""
        for value in reference_values(template, self._environ):
            message = mask_parts(message, value)
        return mask_quoted(message, self._secrets) if '"' in message else message

    @cached_property
    def _secrets(self) -> frozenset[str]:
        """The values of all secret keys; an alias may repeat one elsewhere."""
        return frozenset(secret[:MAX_QUOTED] for _, secret in secret_scalars(self._document))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _server_facts(server: model.Server) -> tuple[bool, bool]:
    """Return what the checks of an app need to be true of `server`."""
    return server.callback_queue is not None, bool(server.secret)
