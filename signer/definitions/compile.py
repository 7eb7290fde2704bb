"""From the typed model of one app to the plain rules it is signed by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from pydantic import SecretStr

from signer.definitions import model
from signer.definitions.checks import Entries, key_text
from signer.definitions.registry import AccessKeyTemplate, App, Role
from signer.definitions.session_policy import session_policy
from signer.delivery.callback_body import InvalidBodyTemplate
from signer.delivery.callback_rules import CallbackRules, NotifyTarget, build_callback_rules, derive_proof_secret
from signer.signing.callback_field import CallbackField
from signer.signing.form import Forms
from signer.signing.object_key import PREFIX_PLACEHOLDERS, KeyNaming, Template
from signer.signing.upload_rules import UploadRules

Keys = Mapping[str, AccessKeyTemplate]


def compile_app(app_id: str, app: model.App, role: str) -> App:
    """An app without findings, as requests need it; `role` is the key of the role it signs with."""
    name = None if app.key == "client" else Template.parse(key_text(app))
    rules = UploadRules(
        bucket=app.bucket,
        region=app.region,
        url=app.domain or f"https://{app.bucket}.oss-{app.region}.aliyuncs.com",
        naming=KeyNaming(Template.parse(app.key_prefix, PREFIX_PLACEHOLDERS), name),
        expires=app.expires,
        min_size_bytes=app.min_size,
        max_size_bytes=app.max_size,
        content_types=app.content_types,
        success_status=app.success_status,
        headers={key.lower(): value for key, value in app.headers.items()},
        conditions=app.conditions,
        callback=None if app.callback is None else _callback_field(app.callback),
        meta_names=frozenset(app.meta),
    )
    return App(
        id=app_id,
        name=app.name or app_id,
        enabled=app.enabled,
        forms=Forms(app_id, rules),
        role=role,
        callers=app.callers,
        rate_limit=app.rate_limit,
        cors_origins=frozenset(app.cors_origins),
        generate_signature=app.generate_signature,
        downloads=None if app.downloads is None else app.downloads.expires,
        callback=_callback_rules(app_id, app, rules.naming),
        is_unlimited=app.rate_limit.is_unlimited,
    )


def _callback_rules(app_id: str, app: model.App, naming: KeyNaming) -> CallbackRules | None:
    """For callbacks that come to us; None for one whose body does not say what was uploaded, which goes elsewhere."""
    if app.callback is None:
        return None
    try:
        return build_callback_rules(
            app_id=app_id,
            bucket=app.bucket,
            naming=naming,
            urls=app.callback.url.split(";"),
            body=app.callback.body,
            body_type=app.callback.body_type,
            notify=_target(app.callback),
        )
    except InvalidBodyTemplate:
        return None


def _target(callback: model.Callback) -> NotifyTarget | None:
    notify = callback.notify
    return None if notify is None else NotifyTarget(notify.url, notify.secret.get_secret_value().encode())


def role_of(app: model.App, app_id: str, entries: Entries, keys: Keys) -> tuple[str, Role]:
    """The role an app signs with, and its key: with `scope: app` a token of its own, narrowed by a session policy."""
    role = _role(app.credentials, entries, keys)
    if isinstance(role.entry, model.AssumedRole) and role.entry.scope == "app":
        return f"{app.credentials}/{app_id}", replace(role, session_policy=session_policy(app_id, app))
    return app.credentials, role


def _role(name: str, entries: Entries, keys: Keys) -> Role:
    entry = entries[name]
    source = entry.source if isinstance(entry, model.AssumeRole) else None
    return Role(name, entry, access_key=keys.get(name), source=None if source is None else _role(source, entries, keys))


def access_key_template(entry: model.CredentialEntry, written: Callable[[str], str | None]) -> AccessKeyTemplate | None:
    """The AccessKey of an entry as text to fill in anew; `written` gives what stands there in `${...}`, else None."""
    if not isinstance(entry, model.AssumeRole | model.Static) or entry.access_key_id is None:
        return None
    token = entry.security_token if isinstance(entry, model.Static) else None
    return AccessKeyTemplate(
        written("access_key_id") or entry.access_key_id,
        written("access_key_secret") or _clear(entry.access_key_secret) or "",
        written("security_token") or _clear(token),
    )


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _callback_field(callback: model.Callback) -> CallbackField:
    urls = tuple(callback.url.split(";"))
    return CallbackField(urls, callback.body, callback.body_type, callback.host, derive_proof_secret(_target(callback)))
