"""What there is to look at: each role, bucket, origin, domain and prefix once, however many apps share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from signer.definitions import model
from signer.definitions.registry import App, Registry, Role
from signer.definitions.session_policy import fixed_prefix


@dataclass(frozen=True, slots=True)
class BucketUse:
    """A bucket as one role uses it; `role` is the name of an entry under `credentials`."""

    bucket: str
    region: str
    role: str

    def __str__(self) -> str:
        return f"{self.bucket} (credentials.{self.role})"


@dataclass(frozen=True, slots=True)
class DomainUse:
    use: BucketUse
    url: str

    def __str__(self) -> str:
        return f"{self.url} for {self.use}"


@dataclass(frozen=True, slots=True)
class PrefixUse:
    """Where somebody writes; `role_key` names the token that its apps sign with."""

    use: BucketUse
    role_key: str
    fixed: str

    def __str__(self) -> str:
        return f"{self.use.bucket}/{self.fixed}* (credentials.{self.use.role})"


@dataclass(frozen=True, slots=True)
class WeChatUse:
    app_id: str
    entry: model.WeChatCallers


Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """By each thing to look at, the ids of the apps that it is for."""

    registry: Registry
    """Whose apps are those that were asked about, all switched on."""
    roles: Mapping[str, Role]
    """By entry, as all its apps have it in common: without session policies."""
    role_apps: Mapping[str, Ids]
    buckets: Mapping[BucketUse, Ids]
    origins: Mapping[BucketUse, tuple[str, ...]]
    domains: Mapping[DomainUse, Ids]
    prefixes: Mapping[PrefixUse, Ids]
    wechat: Mapping[WeChatUse, Ids]
    callbacks: Ids

    def common_registry(self) -> Registry:
        """In which each role is the one that its apps have in common."""
        apps = {app.id: replace(app, role=self.registry.roles[app.role].name) for app in self.registry.apps.values()}
        return replace(self.registry, apps=apps, roles=self.roles)


def plan(registry: Registry, app_id: str | None) -> Plan:
    """For all enabled apps, or for one, be it switched on or not. Raises KeyError for an app that is not there."""
    chosen = [registry.apps[app_id]] if app_id is not None else [app for app in registry.apps.values() if app.enabled]
    apps = {app.id: replace(app, enabled=True) for app in chosen}
    registry = replace(registry, apps=apps)
    roles: dict[str, Role] = {}
    role_apps: dict[str, Ids] = {}
    buckets: dict[BucketUse, Ids] = {}
    origins: dict[BucketUse, dict[str, None]] = {}
    domains: dict[DomainUse, list[str]] = {}
    prefixes: dict[PrefixUse, list[str]] = {}
    wechat: dict[WeChatUse, list[str]] = {}
    collected: dict[BucketUse, list[str]] = {}
    of_role: dict[str, list[str]] = {}
    for app in apps.values():
        role: Role | None = registry.roles[app.role]
        while role is not None:
            roles.setdefault(role.name, replace(role, session_policy=None))
            of_role.setdefault(role.name, []).append(app.id)
            role = role.source
        use = BucketUse(app.rules.bucket, app.rules.region, registry.roles[app.role].name)
        collected.setdefault(use, []).append(app.id)
        if app.cors_origins:
            origins.setdefault(use, {}).update(dict.fromkeys(sorted(app.cors_origins)))
        if app.rules.url != default_url(app):
            domains.setdefault(DomainUse(use, app.rules.url), []).append(app.id)
        fixed = fixed_prefix(app.id, app.rules.naming.prefix.text)
        prefixes.setdefault(PrefixUse(use, app.role, fixed), []).append(app.id)
        for entry in app.callers:
            if isinstance(entry, model.WeChatCallers):
                wechat.setdefault(WeChatUse(entry.app_id or app.id, entry), []).append(app.id)
    role_apps = {name: tuple(ids) for name, ids in of_role.items()}
    buckets = {use: tuple(ids) for use, ids in collected.items()}
    return Plan(
        registry,
        roles,
        role_apps,
        buckets,
        {use: tuple(found) for use, found in origins.items()},
        {domain: tuple(ids) for domain, ids in domains.items()},
        {prefix: tuple(ids) for prefix, ids in prefixes.items()},
        {each: tuple(ids) for each, ids in wechat.items()},
        tuple(app.id for app in apps.values() if app.callback is not None),
    )


def default_url(app: App) -> str:
    return f"https://{app.rules.bucket}.oss-{app.rules.region}.aliyuncs.com"
