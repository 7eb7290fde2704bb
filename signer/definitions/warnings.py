"""What works but is dangerous or useless; `check` prints it as warnings."""

from collections.abc import Iterator
from dataclasses import replace

from signer.definitions import caller_model, credential_model
from signer.definitions.exposure import app_exposures, is_plain_http, role_exposures, server_exposures
from signer.definitions.fetch_rate import check_fetch_rate
from signer.definitions.merge import Document
from signer.definitions.mistakes import RELATED_PLACE, KeyPath, Mistake, Violation, format_path
from signer.definitions.odd_characters import odd_character
from signer.definitions.places import locate
from signer.definitions.printable import scalars, secret_scalars
from signer.definitions.public_endpoint import is_closed_to_new_accounts
from signer.definitions.quantities import format_count
from signer.definitions.redaction import URL_PASSWORD, quote
from signer.definitions.regions import likely_region
from signer.definitions.registry import App, Registry, Role
from signer.definitions.roles import fixed_prefix
from signer.definitions.unenforced_rules import followed_links, unenforced_rules
from signer.signing.content_types import runs_script
from signer.signing.form import open_fields
from signer.signing.multipart_headers import unmeetable_conditions

_ADDRESSES = frozenset({"limits", "callback_queue"})
"""Secret keys with the address of a service, which is secret only if it contains a password."""
_TEXTS = frozenset({"name", "body"})
"""Keys with a text for people."""


def find_warnings(registry: Registry, workers: int = 1) -> list[Mistake]:
    """Return warnings for the operator, with places; `workers` are the signers of a machine."""
    document = registry.document
    if document is None:
        return []
    return locate(_warnings(registry, document, workers), document)


def _warnings(registry: Registry, document: Document, workers: int) -> Iterator[Violation]:
    for app in registry.apps.values():
        if app.enabled:
            for warning in _app_warnings(app, registry.roles[app.role]):
                below = warning.below(("apps", app.id))
                yield replace(below, path=document.written_path(below.path))
    for warning in followed_links(registry):
        yield replace(warning, path=document.written_path(warning.path))
    for warning in server_exposures(registry.server):
        yield warning.below(("server",))
    for role in registry.roles.values():
        yield from role_exposures(role)
    yield from _closed_endpoints(registry)
    yield from check_fetch_rate(registry, document, workers)
    yield from _overlapping_prefixes(registry, document)
    yield from _open_fields(registry)
    yield from _unused_credentials(registry, document)
    yield from _secrets_in_clear(document)
    yield from _odd_characters(document)
    for file in document.files:
        yield from (Violation(path, warning) for path, warning in file.invisible_character_warnings.items())
    default = registry.apps.get(registry.default_app or "")
    if default is not None and not default.enabled:
        yield Violation(
            ("default_app",),
            "this app is disabled, so requests without an app id are rejected; enable it, or name another",
        )


def _app_warnings(app: App, role: Role) -> Iterator[Violation]:
    if isinstance(role.entry, credential_model.StaticCredential):
        message = (
            "this entry is of type static, and its credential is never replaced; use another type outside of tests"
        )
        yield Violation(("credentials",), message)
    if not app.rate_limit.limits_requests and any(isinstance(each, caller_model.OpenCallers) for each in app.callers):
        message = "anyone may request any number of signatures; set rate_limit, or choose another type of callers"
        yield Violation((), message, at_key=True)
    for content_type in filter(runs_script, app.rules.content_types):
        message = f"objects of type {content_type} run script in browsers; serve them as downloads, or remove the type"
        yield Violation(("content_types",), message)
    if likely := likely_region(app.rules.region):
        yield Violation(("region",), f"{quote(app.rules.region)} is not a known region; did you mean {likely}?")
    url, prefix = app.rules.url, app.rules.naming.prefix.text
    yield from _domain_warnings(url, ("domain",), "upload")
    if app.downloads is not None and app.downloads.url != url:
        yield from _domain_warnings(app.downloads.url, ("downloads", "domain"), "download")
    if "success_action_redirect" in app.rules.headers:
        message = "OSS then responds with a redirect instead of success_status, which mini-programs cannot follow"
        yield Violation(("headers", "success_action_redirect"), f"{message}; remove the field")
    if not prefix and app.rules.naming.name is None:
        message = "clients can overwrite any object of the bucket; write a prefix such as photos/ to prevent it"
        yield Violation(("key_prefix",), message)
    if prefix and not prefix.endswith("/"):
        runs_into = f"{quote(prefix)} does not end with /, so it runs into the names of the objects"
        yield Violation(("key_prefix",), f"{runs_into}; write {quote(f'{prefix}/')}")
    if not {"*", "?"}.isdisjoint(prefix):
        message = (
            f"{quote(prefix)} has a * or ?, which are wildcards in RAM policies: those that `policies` prints, and the "
            "tokens of scope: app, reach other prefixes too; remove it"
        )
        yield Violation(("key_prefix",), message)
    if app.rules.multipart is not None:
        for index in unmeetable_conditions(app.rules):
            message = (
                "no multipart upload meets this condition, because its client sets only the metadata that meta names; "
                "fix the field in headers, or remove the condition"
            )
            yield Violation(("conditions", index), message)
    if app.downloads is not None and app.downloads.disposition == "inline" and not app.rules.content_types:
        message = (
            "browsers show objects of any type, and a page that a client has uploaded runs script on the domain; list "
            "content_types, or write attachment"
        )
        yield Violation(("downloads", "disposition"), message)
    yield from _shared_prefixes(app, prefix)
    yield from app_exposures(app)
    yield from unenforced_rules(app)


def _domain_warnings(url: str, path: KeyPath, verb: str) -> Iterator[Violation]:
    if is_plain_http(url):
        yield Violation(path, f"{quote(url)} is not HTTPS, and mini-programs {verb} only over HTTPS; write https://")
    if "-internal.aliyuncs.com" in url:
        yield Violation(path, f"phones cannot reach OSS's internal endpoint {quote(url)}; remove the key")


def _shared_prefixes(app: App, key_prefix: str) -> Iterator[Violation]:
    """Find prefixes that all callers may read, and that hold the objects of each of them."""
    if app.downloads is None or not app.downloads.reads_own:
        return
    own = fixed_prefix(app.id, key_prefix)
    for index, prefix in enumerate(app.downloads.also):
        if prefix.startswith(own) or own.startswith(prefix):
            message = (
                f"{quote(prefix)} and key_prefix {quote(key_prefix)} overlap, so each caller may read objects of the "
                "others there; write a prefix outside of it"
            )
            yield Violation(("downloads", "also", index), message)


def _closed_endpoints(registry: Registry) -> Iterator[Violation]:
    """Find the apps whose phones upload to an endpoint that is closed to new accounts; one warning for all."""
    found = [
        app
        for app in registry.apps.values()
        if app.enabled and not app.legacy_endpoint and is_closed_to_new_accounts(app.rules.url)
    ]
    if found:
        url, others = found[0].rules.url, format_count(len(found) - 1, "more app")
        uploads = f"it uploads to {url}" if len(found) == 1 else f"it and {others} upload to addresses like {url}"
        message = (
            f"{uploads}, which OSS closed to accounts that are new since 2025-03-20; bind a domain to the bucket and "
            "write it as domain, or write legacy_endpoint: true if the account is older"
        )
        yield Violation(("apps", found[0].id), message, at_key=True)


def _open_fields(registry: Registry) -> Iterator[Violation]:
    """Find what clients can add to a form; one warning for all apps where it is the same."""
    apps_by_fields: dict[tuple[bool, str], list[App]] = {}
    for app in registry.apps.values():
        is_open = any(isinstance(each, caller_model.OpenCallers) for each in app.callers)
        if app.enabled and (is_open or app.generate_signature):
            fields = ", ".join(open_fields(app.rules, sample=app.generate_signature))
            apps_by_fields.setdefault((app.generate_signature, fields), []).append(app)
    for (has_sample, fields), apps in apps_by_fields.items():
        who = "clients of /generate_signature" if has_sample else "anyone"
        alternative = "write generate_signature: false" if has_sample else "choose another type of callers"
        also = f" (and in {format_count(len(apps) - 1, 'more app')})" if len(apps) > 1 else ""
        message = (
            f"{who} can set these form fields{also}, because OSS cannot forbid a field: {fields}; "
            f"fix those that matter in headers, or {alternative}"
        )
        yield Violation(("apps", apps[0].id), message, at_key=True)


def _overlapping_prefixes(registry: Registry, document: Document) -> Iterator[Violation]:
    """Find the enabled apps whose keys start with another's prefix; each once, with the nearest around it.

    In sorted order, all that start with a prefix follow it at once, so a stack of the open prefixes is enough.
    """
    prefixes = sorted(
        (app.rules.bucket, fixed_prefix(app.id, app.rules.naming.prefix.text), app.id)
        for app in registry.apps.values()
        if app.enabled
    )
    around: list[tuple[str, str, str]] = []
    for bucket, prefix, app_id in prefixes:
        while around and not (around[-1][0] == bucket and prefix.startswith(around[-1][1])):
            around.pop()
        if around:
            _, outer, other = around[-1]
            shown_at = _prefix_path(document, app_id)
            yield Violation(
                ("apps", app_id),
                _overlap(format_path(("apps", other)), bucket, is_same=prefix == outer),
                at_key=len(shown_at) == 2,
                shown_at=shown_at,
                related=_prefix_path(document, other),
            )
        around.append((bucket, prefix, app_id))


def _overlap(other: str, bucket: str, *, is_same: bool) -> str:
    other = f"{other} ({RELATED_PLACE})"
    overlap = (
        f"its keys have the same prefix as those of {other} in bucket {bucket}, so each can overwrite the other's files"
        if is_same
        else f"its keys are below the prefix of {other} in bucket {bucket}, so that app can overwrite its files"
    )
    return f"{overlap}; give each its own key_prefix"


def _prefix_path(document: Document, app_id: str) -> KeyPath:
    """Return the path of an app's own `key_prefix`; that of the app where it inherits one or has none."""
    path: KeyPath = ("apps", app_id, "key_prefix")
    return path if document.has(path) else path[:2]


def _unused_credentials(registry: Registry, document: Document) -> Iterator[Violation]:
    used: set[str] = set()
    for role in registry.roles.values():
        following: Role | None = role
        while following is not None and following.name not in used:
            used.add(following.name)
            following = following.source
    for name in document.value.get("credentials") or {}:
        if name not in used:
            yield Violation(
                ("credentials", name), "no app uses this entry; remove it, or name it in an app", at_key=True
            )


def _secrets_in_clear(document: Document) -> Iterator[Violation]:
    """Find secrets that are in the file itself, as a value or as the default of a `${...}`."""
    for path, value in secret_scalars(document):
        if path[-1] in _ADDRESSES and not URL_PASSWORD.search(value):
            continue
        template = document.template(path)
        if template is None or ":-" in template:
            what = "the secret itself is in this file" if template is None else "the default may be the secret itself"
            yield Violation(path, f"{what}; write ${{NAME}} or ${{file:PATH}} without a default")


def _odd_characters(document: Document) -> Iterator[Violation]:
    """Find what was probably pasted from a text for people. Names, bodies and metadata may contain such a text."""
    for path, value in scalars(document.value):
        is_for_people = path[-1] in _TEXTS or "x-oss-meta-" in str(path[-1]).lower()
        if isinstance(value, str) and not value.isascii() and not is_for_people and (odd := odd_character(value)):
            yield Violation(path, odd)
