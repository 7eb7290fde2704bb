"""From what the definitions say to the objects that do it: sources of credentials and caller checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta

from pydantic import SecretStr

from signer.callers.api_key import ApiKey
from signer.callers.open import Open
from signer.callers.protocol import CallerCheck
from signer.credentials.assume_role import AssumeRole, Assumption
from signer.credentials.chained import Chained
from signer.credentials.ecs_role import EcsRole
from signer.credentials.keeper import RolePlan
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.source import Source
from signer.credentials.static import Static
from signer.credentials.windows import Windows
from signer.definitions import model
from signer.definitions.registry import Registry, Role
from signer.v4 import Credential

Get = Callable[[str], Awaitable[Credential]]

_BASE_COVER = timedelta(minutes=5)
"""How long a credential must live that only assumes other roles."""


def role_plans(registry: Registry, sdk: SdkThread, get: Get) -> dict[str, RolePlan]:
    """A plan for each role that an enabled app uses, and for those that they are assumed with.

    `get` gives the kept credential of a role.
    """
    plans: dict[str, RolePlan] = {}
    for key in registry.roles_in_use():
        plans[key] = _plan(registry.roles[key], registry.longest_expires(key), sdk, get)
        source = registry.roles[key].source
        while source is not None:
            cover = max(registry.longest_expires(source.name), _BASE_COVER)
            plans[source.name] = _plan(source, cover, sdk, get)
            source = source.source
    return plans


def _plan(role: Role, cover: timedelta, sdk: SdkThread, get: Get) -> RolePlan:
    return RolePlan(_identity(role), _source(role, sdk, get), Windows(cover, role.entry.min_remaining))


def _identity(role: Role) -> Hashable:
    return role.entry, role.session_policy, None if role.source is None else _identity(role.source)


def _source(role: Role, sdk: SdkThread, get: Get) -> Source:
    entry = role.entry
    if isinstance(entry, model.EcsRamRole):
        deadline_seconds = entry.timeout.total_seconds()
        return EcsRole(sdk, endpoint=entry.endpoint, role_name=entry.role_name, deadline_seconds=deadline_seconds)
    if isinstance(entry, model.Static):
        return _static(entry.access_key_id, entry.access_key_secret, entry.security_token)
    assumption = Assumption(
        role_arn=entry.role_arn,
        session_name=entry.session_name,
        duration=entry.duration,
        external_id=entry.external_id,
        session_policy=role.session_policy,
    )
    base = (
        Chained(role.source.name, get)
        if role.source is not None
        else _static(entry.access_key_id, entry.access_key_secret, None)
    )
    deadline_seconds = entry.timeout.total_seconds()
    return AssumeRole(sdk, assumption, base=base, endpoint=entry.endpoint, deadline_seconds=deadline_seconds)


def _static(access_key_id: str | None, secret: SecretStr | None, security_token: SecretStr | None) -> Static:
    return Static(
        Credential(
            access_key_id or "",
            secret.get_secret_value() if secret is not None else "",
            security_token.get_secret_value() if security_token is not None else None,
        )
    )


def caller_check(entry: model.CallersEntry) -> CallerCheck:
    if isinstance(entry, model.ApiKeyCallers):
        return ApiKey(entry.keys)
    return Open()
