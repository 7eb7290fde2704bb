"""From what the definitions say to the objects that do it: sources of credentials and caller checks."""

from __future__ import annotations

from signer.callers.api_key import ApiKey
from signer.callers.open import Open
from signer.callers.protocol import CallerCheck
from signer.credentials.assume_role import AssumeRole, Assumption
from signer.credentials.ecs_role import EcsRole
from signer.credentials.keeper import RolePlan
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.source import Source
from signer.credentials.windows import Windows
from signer.definitions import model
from signer.definitions.registry import Registry, Role
from signer.v4 import Credential


def source_of(role: Role, sdk: SdkThread) -> Source:
    entry = role.entry
    if isinstance(entry, model.EcsRamRole):
        return EcsRole(
            sdk,
            endpoint=entry.endpoint,
            role_name=entry.role_name,
            deadline_seconds=entry.timeout.total_seconds(),
        )
    assumption = Assumption(
        role_arn=entry.role_arn,
        session_name=entry.session_name,
        duration=entry.duration,
        external_id=entry.external_id,
        session_policy=role.session_policy,
    )
    access_key = Credential(entry.access_key_id, entry.access_key_secret.get_secret_value())
    return AssumeRole(
        sdk, assumption, access_key=access_key, endpoint=entry.endpoint, deadline_seconds=entry.timeout.total_seconds()
    )


def role_plans(registry: Registry, sdk: SdkThread) -> dict[str, RolePlan]:
    """A plan for each role that an enabled app uses."""
    plans: dict[str, RolePlan] = {}
    for key in registry.roles_in_use():
        role = registry.roles[key]
        identity = (role.entry, role.session_policy)
        windows = Windows(cover=registry.longest_expires(key), least=role.entry.min_remaining)
        plans[key] = RolePlan(identity, source_of(role, sdk), windows)
    return plans


def caller_check(entry: model.CallersEntry) -> CallerCheck:
    if isinstance(entry, model.ApiKeyCallers):
        return ApiKey(entry.keys)
    return Open()
