"""The compiled definitions: one immutable snapshot of all apps, which requests are answered from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import SecretStr

from signer.definitions.caller_model import AnyCallers
from signer.definitions.credential_model import CredentialEntry
from signer.definitions.merge import Document
from signer.definitions.model import RateLimit, Server
from signer.delivery.callback_rules import CallbackRules
from signer.errors import AppDisabled, InvalidRequest, UnknownApp
from signer.signing.download_url import DownloadRules
from signer.signing.form import Forms
from signer.signing.session_policy import CallerAccess
from signer.signing.upload_rules import UploadRules


@dataclass(frozen=True, slots=True)
class AccessKeyTemplate:
    """An AccessKey as written, with `${...}`, so that each fetch of a token resolves them again."""

    access_key_id: str = field(repr=False)
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Role:
    """A source of tokens, as one or more apps need it; equal roles share one token."""

    name: str
    entry: CredentialEntry = field(repr=False)
    session_policy: str | None = None
    access_key: AccessKeyTemplate | None = None
    source: Role | None = None
    """The role to assume it with; None: with an AccessKey, or it is not assumed."""


@dataclass(frozen=True, slots=True)
class App:
    """One app as plain values that a request needs."""

    id: str
    name: str
    enabled: bool
    forms: Forms
    role: str
    """The key of the role in `Registry.roles`."""
    callers: tuple[AnyCallers, ...]
    rate_limit: RateLimit
    cors_origins: frozenset[str]
    generate_signature: bool
    downloads: DownloadRules | None
    """None: the app has no downloads."""
    deletes: bool
    """Whether callers may delete their own objects."""
    callback: CallbackRules | None
    """For callbacks that OSS sends to the signer; None: there are none, or they go elsewhere."""
    is_unlimited: bool
    """Whether the app has no rate limit, of requests or of bytes."""
    legacy_endpoint: bool
    """Whether the account may use OSS's default public endpoints."""
    oss_url: str
    """The URL of the bucket for the signer's own calls to OSS."""
    caller_access: CallerAccess | None = None
    """What the temporary credentials of its callers allow; None: it has none."""

    @property
    def urls(self) -> tuple[str, ...]:
        """Return the URLs of the bucket that clients use."""
        return (self.rules.url,) if self.downloads is None else (self.rules.url, self.downloads.url)

    @property
    def rules(self) -> UploadRules:
        """Return what the app allows to upload."""
        return self.forms.rules


@dataclass(frozen=True, slots=True)
class Registry:
    """The compiled definitions."""

    server: Server
    apps: Mapping[str, App]
    roles: Mapping[str, Role]
    default_app: str | None
    document: Document | None = field(default=None, repr=False)
    """The document that it was compiled from."""
    limits: SecretStr | None = None
    """The URL of the Redis with shared rate limits."""
    audit: str | None = None
    """The path of the audit log, or `stdout`."""

    def app(self, app_id: str | None) -> App:
        """Return the enabled app with this id, or the default app.

        Raises:
            UnknownApp: there is no app with this id.
            AppDisabled: the app is disabled.
            InvalidRequest: there is no id and no default app.
        """
        requested = self.default_app if app_id is None else app_id
        if requested is None:
            raise InvalidRequest("the request names no app; send ?app_id=, the header X-App-Id, or WeChat's Referer")
        app = self.apps.get(requested)
        if app is None:
            raise UnknownApp("there is no app with this id; ask the operators to add it")
        if not app.enabled:
            raise AppDisabled("this app is disabled; ask the operators to enable it")
        return app

    def longest_expires(self) -> Mapping[str, timedelta]:
        """Return by the key of each role the longest time that what it signs for its enabled apps is valid.

        Downloads of apps with temporary credentials are signed with those.
        """
        longest: dict[str, timedelta] = {}
        for app in self.apps.values():
            if app.enabled:
                downloads = app.downloads if app.caller_access is None else None
                of_downloads = timedelta() if downloads is None else downloads.longest
                longest[app.role] = max(longest.get(app.role, timedelta()), app.rules.expires, of_downloads)
        return longest
