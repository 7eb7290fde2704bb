"""What the steps check: each role, bucket, origin, domain and prefix once, however many apps share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from signer.definitions import caller_model
from signer.definitions.registry import App, Registry, Role
from signer.definitions.roles import fixed_prefix

AppIds = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BucketUse:
    """A bucket as one role uses it. `role` is the name of an entry under `credentials`."""

    bucket: str
    region: str
    role: str

    def __str__(self) -> str:
        return f"{self.bucket} (credentials.{self.role})"


@dataclass(frozen=True, slots=True)
class DomainUse:
    """A bucket's own domain (`domain:`), as a URL."""

    use: BucketUse
    url: str

    def __str__(self) -> str:
        return f"{self.url} for {self.use}"


@dataclass(frozen=True, slots=True)
class PrefixUse:
    """A prefix that apps write below. `role_key` names the token that they sign with."""

    use: BucketUse
    role_key: str
    fixed: str
    """The part of the key prefix before the first placeholder."""

    def __str__(self) -> str:
        return f"{self.use.bucket}/{self.fixed}* (credentials.{self.use.role})"


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
    wechat: Mapping[WeChatUse, AppIds]
    callbacks: AppIds

    def registry_of_shared_roles(self) -> Registry:
        """Return the registry with each app on its entry's shared role, without session policies."""
        apps = {app.id: replace(app, role=self.registry.roles[app.role].name) for app in self.registry.apps.values()}
        return replace(self.registry, apps=apps, roles=self.roles)


def make_plan(registry: Registry, app_id: str | None) -> Plan:
    """Plan the checks of all enabled apps, or of one app, enabled or not. Raise KeyError for an unknown app."""
    chosen = [registry.apps[app_id]] if app_id is not None else [app for app in registry.apps.values() if app.enabled]
    apps = {app.id: replace(app, enabled=True) for app in chosen}
    registry = replace(registry, apps=apps)
    roles: dict[str, Role] = {}
    role_apps: dict[str, list[str]] = {}
    buckets: dict[BucketUse, list[str]] = {}
    origins: dict[BucketUse, dict[str, None]] = {}
    domains: dict[DomainUse, list[str]] = {}
    prefixes: dict[PrefixUse, list[str]] = {}
    wechat: dict[WeChatUse, list[str]] = {}
    for app in apps.values():
        role: Role | None = registry.roles[app.role]
        while role is not None:
            roles.setdefault(role.name, replace(role, session_policy=None))
            role_apps.setdefault(role.name, []).append(app.id)
            role = role.source
        use = BucketUse(app.rules.bucket, app.rules.region, registry.roles[app.role].name)
        buckets.setdefault(use, []).append(app.id)
        if app.cors_origins:
            origins.setdefault(use, {}).update(dict.fromkeys(sorted(app.cors_origins)))
        if app.rules.url != default_url(app):
            domains.setdefault(DomainUse(use, app.rules.url), []).append(app.id)
        fixed = fixed_prefix(app.id, app.rules.naming.prefix.text)
        prefixes.setdefault(PrefixUse(use, app.role, fixed), []).append(app.id)
        for entry in app.callers:
            if isinstance(entry, caller_model.WeChatCallers):
                wechat.setdefault(WeChatUse(entry.app_id or app.id, entry), []).append(app.id)
    return Plan(
        registry=registry,
        roles=roles,
        role_apps={name: tuple(ids) for name, ids in role_apps.items()},
        buckets={use: tuple(ids) for use, ids in buckets.items()},
        origins={use: tuple(found) for use, found in origins.items()},
        domains={domain: tuple(ids) for domain, ids in domains.items()},
        prefixes={prefix: tuple(ids) for prefix, ids in prefixes.items()},
        wechat={account: tuple(ids) for account, ids in wechat.items()},
        callbacks=tuple(app.id for app in apps.values() if app.callback is not None),
    )


def default_url(app: App) -> str:
    """Return the public URL of the app's bucket at the region's default endpoint."""
    return f"https://{app.rules.bucket}.oss-{app.rules.region}.aliyuncs.com"
