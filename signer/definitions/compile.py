"""Stage 4, compile: validated models to the registry that requests are answered from."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from signer.definitions import model
from signer.definitions.checks.object_keys import key_template
from signer.definitions.merge import Document
from signer.definitions.registry import App, Registry, Role
from signer.definitions.session_policy import session_policy
from signer.definitions.validate import SharedSettings, Validation
from signer.delivery.callback_body import InvalidBodyTemplate
from signer.delivery.callback_rules import CallbackRules, NotifyTarget, build_callback_rules, derive_proof_secret
from signer.signing.callback_field import CallbackField
from signer.signing.content_types import expand_wildcards
from signer.signing.form import Forms
from signer.signing.object_key import PREFIX_PLACEHOLDERS, KeyNaming, Template
from signer.signing.upload_rules import UploadRules


def compile_definitions(validation: Validation, document: Document, previous: Registry | None) -> Registry:
    """Return the registry of validated definitions.

    Args:
        validation: the result without violations.
        document: what was validated.
        previous: the last registry, where the apps are that did not change.
    """
    accepted = validation.accepted
    if accepted is None:
        raise ValueError("definitions with violations cannot be compiled")
    definitions = accepted.shared.definitions
    apps: dict[str, App] = {}
    roles: dict[str, Role] = {}
    for app_id in accepted.apps:
        changed = validation.changed_apps.get(app_id)
        if changed is not None:
            key, role = _role_of_app(app_id, changed, accepted.shared)
            apps[app_id] = _compile_app(app_id, changed, key)
            roles[key] = role
        elif previous is not None:
            app = apps[app_id] = previous.apps[app_id]
            roles[app.role] = previous.roles[app.role]
    return Registry(
        definitions.server,
        MappingProxyType(apps),
        MappingProxyType(roles),
        definitions.default_app,
        document,
        definitions.limits,
        definitions.audit,
    )


def _compile_app(app_id: str, app: model.AppEntry, role: str) -> App:
    name = None if app.key == "client" else Template.parse(key_template(app))
    rules = UploadRules(
        bucket=app.bucket,
        region=app.region,
        url=app.domain or f"https://{app.bucket}.oss-{app.region}.aliyuncs.com",
        naming=KeyNaming(Template.parse(app.key_prefix, PREFIX_PLACEHOLDERS), name),
        expires=app.expires,
        min_size_bytes=app.min_size,
        max_size_bytes=app.max_size,
        content_types=expand_wildcards(app.content_types),
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


def _callback_rules(app_id: str, app: model.AppEntry, naming: KeyNaming) -> CallbackRules | None:
    """Return the rules for callbacks to the signer; None if the body shows that they go elsewhere."""
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
            notify=_notify_target(app.callback),
        )
    except InvalidBodyTemplate:
        return None


def _notify_target(callback: model.Callback) -> NotifyTarget | None:
    notify = callback.notify
    return None if notify is None else NotifyTarget(notify.url, notify.secret.get_secret_value().encode())


def _role_of_app(app_id: str, app: model.AppEntry, shared: SharedSettings) -> tuple[str, Role]:
    """Return the role that an app signs with, and its key in `Registry.roles`.

    With `scope: app`, each app has a token of its own, narrowed by a session policy.
    """
    role = _role(app.credentials, shared)
    if isinstance(role.entry, model.StsRole) and role.entry.scope == "app":
        return f"{app.credentials}/{app_id}", replace(role, session_policy=session_policy(app_id, app))
    return app.credentials, role


def _role(name: str, shared: SharedSettings) -> Role:
    entry = shared.definitions.credentials[name]
    source = entry.source if isinstance(entry, model.AssumeRole) else None
    return Role(
        name,
        entry,
        access_key=shared.access_keys.get(name),
        source=None if source is None else _role(source, shared),
    )


def _callback_field(callback: model.Callback) -> CallbackField:
    urls = tuple(callback.url.split(";"))
    return CallbackField(
        urls, callback.body, callback.body_type, callback.host, derive_proof_secret(_notify_target(callback))
    )
