"""Stage 4, compile: validated models to the registry that requests are answered from."""

from collections.abc import Mapping
from functools import lru_cache
from math import inf
from types import MappingProxyType

from signer.definitions import model
from signer.definitions.checks.object_keys import has_caller_prefix, key_template
from signer.definitions.download_model import Downloads, also_prefixes
from signer.definitions.merge import Document
from signer.definitions.multipart_model import Multipart, endpoint_url
from signer.definitions.registry import App, Registry, Role
from signer.definitions.roles import caller_access, role_of_app
from signer.definitions.validate import Baseline
from signer.delivery.callback_body import InvalidBodyTemplate, add_request_id
from signer.delivery.callback_rules import CallbackRules, NotifyTarget, build_callback_rules, derive_proof_secret
from signer.delivery.event_signature import signing_key
from signer.signing.callback_field import CallbackField
from signer.signing.content_types import expand_wildcards
from signer.signing.download_url import DownloadRules
from signer.signing.form import Forms
from signer.signing.object_key import PREFIX_PLACEHOLDERS, KeyNaming, Template
from signer.signing.upload_rules import MultipartRules, UploadRules


def compile_definitions(
    accepted: Baseline, changed_apps: Mapping[str, model.AppEntry], document: Document, previous: Registry | None
) -> Registry:
    """Return the registry of validated definitions; an app that did not change is the one of the previous registry."""
    definitions, access_keys = accepted.shared.definitions, accepted.shared.access_keys
    apps: dict[str, App] = {}
    roles: dict[str, Role] = {}
    for app_id in accepted.apps:
        changed = changed_apps.get(app_id)
        if changed is not None:
            key, role = role_of_app(app_id, changed, definitions.credentials, access_keys)
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
    name = None if app.key == "client" else _parse_name(key_template(app))
    notify = None if app.callback is None else _notify_target(app.callback.notify)
    max_quota_bytes = _max_quota_bytes(app.rate_limit)
    rules = UploadRules(
        bucket=app.bucket,
        region=app.region,
        url=app.domain or f"https://{app.bucket}.oss-{app.region}.aliyuncs.com",
        naming=KeyNaming(Template.parse(app.key_prefix, PREFIX_PLACEHOLDERS), name),
        expires=app.expires,
        min_size_bytes=app.min_size,
        max_size_bytes=int(min(app.max_size, max_quota_bytes)),
        content_types=expand_wildcards(app.content_types),
        success_status=app.success_status,
        headers={key.lower(): value for key, value in app.headers.items()},
        conditions=app.conditions,
        callback=None if app.callback is None else _callback_field(app.callback, notify),
        meta_names=frozenset(app.meta),
        multipart=None if app.multipart is None else _multipart_rules(app.multipart, app.max_size, max_quota_bytes),
        counts_bytes=app.rate_limit.limits_bytes,
    )
    return App(
        id=app_id,
        name=app.name or app_id,
        enabled=app.enabled,
        forms=Forms(app_id, rules),
        role=role,
        callers=app.callers,
        rate_limit=_shared(app.rate_limit),
        cors_origins=frozenset(app.cors_origins),
        generate_signature=app.generate_signature,
        downloads=None if app.downloads is None else _download_rules(app_id, app, app.downloads, rules),
        deletes=app.deletes,
        callback=None if app.callback is None else _callback_rules(app_id, app.callback, rules, notify),
        is_unlimited=not (app.rate_limit.limits_requests or app.rate_limit.limits_bytes),
        legacy_endpoint=app.legacy_endpoint,
        oss_url=rules.url if app.oss_endpoint is None else endpoint_url(app.oss_endpoint, app.bucket, app.region),
        caller_access=None
        if app.temporary_credentials is None
        else caller_access(app_id, app, app.temporary_credentials),
    )


_parse_name = lru_cache(maxsize=1024)(Template.parse)


@lru_cache(maxsize=1024)
def _shared(limit: model.RateLimit) -> model.RateLimit:
    """Return one object for equal limits, which many apps have."""
    return limit


def _notify_target(notify: model.Notify | None) -> NotifyTarget | None:
    return None if notify is None else NotifyTarget(notify.url, signing_key(notify.secret.get_secret_value()))


def _download_rules(app_id: str, app: model.AppEntry, downloads: Downloads, rules: UploadRules) -> DownloadRules:
    return DownloadRules(
        url=downloads.domain or rules.url,
        expires=downloads.expires,
        window=downloads.window,
        styles=downloads.styles,
        disposition=downloads.disposition,
        also=also_prefixes(app_id, downloads),
        reads_own=has_caller_prefix(app),
    )


def _max_quota_bytes(limits: model.RateLimit) -> float:
    """Return the size of the largest file that the limits of bytes can ever accept."""
    return min((rate[0] for rate in (limits.per_caller_bytes, limits.per_app_bytes) if rate is not None), default=inf)


def _multipart_rules(multipart: Multipart, max_form_bytes: int, max_quota_bytes: float) -> MultipartRules:
    """Return the rules; a file that is too large for a form is above the threshold, and an empty one below it."""
    threshold = max(1, min(multipart.threshold, max_form_bytes + 1))
    max_size_bytes = int(min(multipart.max_size, max_quota_bytes))
    return MultipartRules(threshold, multipart.part_size, max_size_bytes, multipart.expires)


def _callback_field(callback: model.Callback, notify: NotifyTarget | None) -> CallbackField:
    urls = tuple(callback.url.split(";"))
    body = callback.body if notify is None else add_request_id(callback.body, callback.body_type)
    return CallbackField(urls, body, callback.body_type, callback.host, derive_proof_secret(notify))


def _callback_rules(
    app_id: str, callback: model.Callback, rules: UploadRules, notify: NotifyTarget | None
) -> CallbackRules | None:
    """Return the rules for callbacks to the signer; None if the body shows that they go elsewhere."""
    try:
        return build_callback_rules(
            app_id=app_id,
            bucket=rules.bucket,
            naming=rules.naming,
            urls=callback.url.split(";"),
            body=callback.body,
            body_type=callback.body_type,
            notify=notify,
        )
    except InvalidBodyTemplate:
        return None
