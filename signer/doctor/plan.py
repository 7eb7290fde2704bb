"""What the steps check: each role, bucket, origin, domain and prefix once, however many apps share it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TypeVar

from signer.definitions import caller_model
from signer.definitions.permissions import object_permissions
from signer.definitions.public_endpoint import is_closed_to_new_accounts
from signer.definitions.registry import App, Registry, Role
from signer.definitions.roles import fixed_prefix

AppIds = tuple[str, ...]
_METHODS = ("POST", "PUT", "GET", "HEAD", "DELETE")
_METHODS_OF_ACTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "oss:PutObject": ("POST", "PUT"),
        "oss:ListParts": ("GET",),
        "oss:AbortMultipartUpload": ("DELETE",),
        "oss:GetObject": ("GET", "HEAD"),
    }
)
RequestHeaders = tuple[str, ...]
COMPONENT_HEADERS: RequestHeaders = ("Content-Type", "X-Requested-With")
"""What the preflight of a form or a part requests; common upload components add the second one."""
SDK_HEADERS: RequestHeaders = (
    "Authorization",
    "Content-Type",
    "x-oss-content-sha256",
    "x-oss-date",
    "x-oss-security-token",
    "x-oss-user-agent",
)
"""What ali-oss sends in a browser with a temporary credential."""
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class BucketUse:
    """A bucket as one role uses it. `role` is the name of an entry under `credentials`."""

    bucket: str
    region: str
    role: str

    @property
    def default_url(self) -> str:
        """The public URL of the bucket at the region's default endpoint."""
        return f"https://{self.bucket}.oss-{self.region}.aliyuncs.com"

    def __str__(self) -> str:
        return f"{self.bucket} (credentials.{self.role})"


@dataclass(frozen=True, slots=True)
class DomainUse:
    """A URL that phones use: the bucket's own domain (`domain:`), or a default one that may be closed."""

    use: BucketUse
    url: str

    def __str__(self) -> str:
        return f"{self.url} for {self.use}"


@dataclass(frozen=True, slots=True)
class PrefixUse:
    """A prefix that apps write below, at one URL. `role_key` names the token that they sign with."""

    use: BucketUse
    url: str
    role_key: str
    fixed: str
    """The part of the key prefix before the first placeholder."""

    def __str__(self) -> str:
        return f"{self.use.bucket}/{self.fixed}* (credentials.{self.use.role})"


@dataclass(frozen=True, slots=True)
class MultipartUse:
    """A prefix of multipart uploads, and the URL of the bucket for the signer's own calls."""

    use: BucketUse
    url: str
    fixed: str
    """The part of the key prefix before the first placeholder."""

    def __str__(self) -> str:
        return f"{self.use.bucket}/{self.fixed}* at {self.url} (credentials.{self.use.role})"


@dataclass(frozen=True, slots=True)
class ObjectsUse:
    """A prefix of objects that callers read or delete, and the URL of the bucket for the signer's own calls."""

    use: BucketUse
    url: str
    prefix: str
    actions: tuple[str, ...]
    """Of RAM."""

    def __str__(self) -> str:
        return f"{self.use.bucket}/{self.prefix}* at {self.url} (credentials.{self.use.role})"


@dataclass(frozen=True, slots=True)
class WeChatUse:
    app_id: str
    entry: caller_model.WeChatCallers


@dataclass(frozen=True, slots=True)
class Plan:
    """Each subject of the steps with the ids of the apps that use it."""

    registry: Registry
    """Holds only the apps to check, all enabled."""
    roles: Mapping[str, Role]
    """By entry under `credentials`, without session policies: what all apps of the entry have in common."""
    role_apps: Mapping[str, AppIds]
    buckets: Mapping[BucketUse, AppIds]
    origins: Mapping[BucketUse, tuple[str, ...]]
    domains: Mapping[DomainUse, AppIds]
    prefixes: Mapping[PrefixUse, AppIds]
    multipart: Mapping[MultipartUse, AppIds]
    methods: Mapping[tuple[BucketUse, str], Mapping[str, RequestHeaders]]
    """By origin of web pages, the methods of the requests that they send to OSS, with the headers that need CORS."""
    objects: Mapping[ObjectsUse, AppIds]
    wechat: Mapping[WeChatUse, AppIds]
    callbacks: AppIds

    def part_lifetimes(self, use: BucketUse) -> dict[str, timedelta]:
        """Return how long a multipart upload to a bucket can be continued, by the prefix of its key."""
        found: dict[str, timedelta] = {}
        for multipart, apps in self.multipart.items():
            for app_id in apps if multipart.use == use else ():
                rule = self.registry.apps[app_id].rules.multipart
                if rule is not None:
                    found[multipart.fixed] = max(found.get(multipart.fixed, timedelta()), rule.expires)
        return dict(sorted(found.items()))

    def registry_of_shared_roles(self) -> Registry:
        """Return the registry with each app on its entry's shared role, without session policies."""
        apps = {app.id: replace(app, role=self.registry.roles[app.role].name) for app in self.registry.apps.values()}
        return replace(self.registry, apps=apps, roles=self.roles)


def make_plan(registry: Registry, app_id: str | None) -> Plan:
    """Plan the checks of all enabled apps, or of one app, enabled or not."""
    chosen = [registry.apps[app_id]] if app_id is not None else [app for app in registry.apps.values() if app.enabled]
    apps = [replace(app, enabled=True) for app in chosen]
    uses = [(app, BucketUse(app.rules.bucket, app.rules.region, registry.roles[app.role].name)) for app in apps]
    role_uses = [(role, app.id) for app in apps for role in _with_sources(registry.roles[app.role])]
    roles: dict[str, Role] = {}
    for role, _ in role_uses:
        roles.setdefault(role.name, replace(role, session_policy=None))
    return Plan(
        registry=replace(registry, apps={app.id: app for app in apps}),
        roles=roles,
        role_apps=_group((role.name, user) for role, user in role_uses),
        buckets=_group((use, app.id) for app, use in uses),
        origins=_group((use, origin) for app, use in uses for origin in sorted(app.cors_origins)),
        domains=_group(
            (DomainUse(use, url), app.id)
            for app, use in uses
            for url in app.urls
            if url != use.default_url or is_closed_to_new_accounts(url)
        ),
        prefixes=_group((_prefix_use(app, use), app.id) for app, use in uses),
        multipart=_group(
            (MultipartUse(use, app.oss_url, fixed_prefix(app.id, app.rules.naming.prefix.text)), app.id)
            for app, use in uses
            if app.rules.multipart is not None
        ),
        methods={
            origin: {method: _headers(method, found) for method in _METHODS if method in dict(found)}
            for origin, found in _group(
                ((use, origin), request)
                for app, use in uses
                for origin in sorted(app.cors_origins)
                for request in _requests(app)
            ).items()
        },
        objects=_group((objects, app.id) for app, use in uses for objects in _objects_uses(app, use)),
        wechat=_group(
            (WeChatUse(entry.app_id or app.id, entry), app.id)
            for app in apps
            for entry in app.callers
            if isinstance(entry, caller_model.WeChatCallers)
        ),
        callbacks=tuple(app.id for app in apps if app.callback is not None),
    )


def _requests(app: App) -> Iterator[tuple[str, RequestHeaders]]:
    """Yield the methods and headers of web pages: for forms, for parts, and of an SDK that has a credential."""
    yield "POST", COMPONENT_HEADERS
    if app.rules.multipart is not None:
        yield "PUT", COMPONENT_HEADERS
    if app.caller_access is not None:
        for action in app.caller_access.actions:
            for method in _METHODS_OF_ACTIONS[action]:
                yield method, SDK_HEADERS


def _headers(method: str, requests: Iterable[tuple[str, RequestHeaders]]) -> RequestHeaders:
    return tuple(dict.fromkeys(name for each, headers in requests if each == method for name in headers))


def _objects_uses(app: App, use: BucketUse) -> Iterator[ObjectsUse]:
    for prefix, actions in permissions_of(app).items():
        of_objects = tuple(action for action in actions if action in ("oss:GetObject", "oss:DeleteObject"))
        if (app.downloads is not None or app.deletes) and of_objects:
            yield ObjectsUse(use, app.oss_url, prefix, of_objects)


def permissions_of(app: App) -> Mapping[str, tuple[str, ...]]:
    """Return the actions that the role of an app needs, by the prefix of the objects."""
    downloads = app.downloads
    return object_permissions(
        fixed_prefix(app.id, app.rules.naming.prefix.text),
        reads_own=downloads is not None and downloads.reads_own,
        also_readable=() if downloads is None else downloads.also,
        deletes=app.deletes,
        multipart=app.rules.multipart is not None,
    )


def _prefix_use(app: App, use: BucketUse) -> PrefixUse:
    return PrefixUse(use, app.rules.url, app.role, fixed_prefix(app.id, app.rules.naming.prefix.text))


def _with_sources(role: Role | None) -> Iterator[Role]:
    while role is not None:
        yield role
        role = role.source


def _group(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    """Return the different second items for each first item."""
    found: dict[K, dict[V, None]] = {}
    for key, value in pairs:
        found.setdefault(key, {})[value] = None
    return {key: tuple(values) for key, values in found.items()}
