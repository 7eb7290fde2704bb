"""What requests are answered from: one immutable snapshot of all apps, by id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import SecretStr

from signer.definitions.merge import Document
from signer.definitions.model import AnyCallers, CredentialEntry, RateLimit, Server
from signer.delivery.callback_rules import CallbackRules
from signer.errors import AppDisabled, InvalidRequest, UnknownApp
from signer.signing.form import Forms
from signer.signing.upload_rules import UploadRules


@dataclass(frozen=True, slots=True)
class AccessKeyTemplate:
    """An AccessKey as it was written, `${...}` and all, so that a fetch can read what they stand for anew."""

    access_key_id: str = field(repr=False)
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Role:
    """One source of credentials as some apps need it; equal roles share one token."""

    name: str
    entry: CredentialEntry = field(repr=False)
    session_policy: str | None = None
    access_key: AccessKeyTemplate | None = None
    source: Role | None = None
    """The role it is assumed with; None: with an AccessKey, or not assumed at all."""


@dataclass(frozen=True, slots=True)
class App:
    """One app, compiled: plain values that a request needs and nothing else."""

    id: str
    name: str
    enabled: bool
    forms: Forms
    role: str
    """The key of its role in `Registry.roles`."""
    callers: tuple[AnyCallers, ...]
    rate_limit: RateLimit
    cors_origins: frozenset[str]
    generate_signature: bool
    downloads: timedelta | None
    """How long a URL to read an object may be used; None: there are none."""
    callback: CallbackRules | None
    """For OSS's calls after its uploads, where they come to us."""
    is_unlimited: bool
    """Whether no `rate_limit` is set."""

    @property
    def rules(self) -> UploadRules:
        return self.forms.rules


@dataclass(frozen=True, slots=True)
class Registry:
    server: Server
    apps: Mapping[str, App]
    roles: Mapping[str, Role]
    default_app: str | None
    document: Document | None = field(default=None, repr=False)
    """What it was read from."""
    limits: SecretStr | None = None
    """The Redis in which several signers count together."""
    audit: str | None = None
    """Where the audit log goes: a path, or `stdout`."""

    def app(self, app_id: str | None) -> App:
        """The enabled app of that id, or the default one. Raises `UnknownApp`, `AppDisabled`, `InvalidRequest`."""
        wanted = app_id or self.default_app
        if wanted is None:
            raise InvalidRequest("name an app: ?app_id=, header X-App-Id, or WeChat's Referer")
        app = self.apps.get(wanted)
        if app is None:
            raise UnknownApp("no app of this id; ask the operators to add it")
        if not app.enabled:
            raise AppDisabled("this app is switched off for now")
        return app

    def longest_expires(self) -> Mapping[str, timedelta]:
        """By the key of each role in use, the longest `expires` of the enabled apps that sign with it."""
        longest: dict[str, timedelta] = {}
        for app in self.apps.values():
            if app.enabled:
                longest[app.role] = max(longest.get(app.role, timedelta()), app.rules.expires)
        return longest
