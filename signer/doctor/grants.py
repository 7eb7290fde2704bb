"""What RAM must allow: the least policies of each role and user, and the trust policy of each role.

See: https://help.aliyun.com/zh/ram/user-guide/policy-elements
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from signer.definitions.credential_model import AssumeRole, EcsRamRole, OidcRole, StsRole
from signer.definitions.registry import App, Role
from signer.doctor.plan import Plan, permissions_of

MAX_POLICY_CHARACTERS = 6144
"""See: https://help.aliyun.com/zh/ram/product-overview/limits"""
MAX_POLICIES = 10
"""How many policies of its own RAM attaches to a role or user."""

Policy = Mapping[str, Any]
Permissions = Mapping[str, frozenset[str]]
"""The actions by resource."""

_SERVICE_ACCOUNT = "system:serviceaccount:oss-signer:oss-signer"
"""Of deploy/kubernetes."""
_KMS_ACTIONS = frozenset({"kms:GenerateDataKey", "kms:Decrypt"})


@dataclass(frozen=True, slots=True)
class Identity:
    """A role or user in RAM, and what it must be allowed."""

    what: str
    """For readers, such as `the RAM role oss-uploader`."""
    policies: tuple[Policy, ...]
    """Several if one would be too long for RAM."""
    trust: Policy | None
    """Who may assume the role; None for an identity that is not assumed."""


def identities(plan: Plan) -> Mapping[str, Identity]:
    """Return what each entry under `credentials` needs, and the users whose AccessKeys assume roles."""
    needs = _needs(plan)
    found: dict[str, Identity] = {}
    targets: dict[str, list[str]] = {}
    for role in plan.roles.values():
        entry = role.entry
        if isinstance(entry, AssumeRole):
            assuming = f"{role.name} (AccessKey)" if role.source is None else role.source.name
            targets.setdefault(assuming, []).append(entry.role_arn)
    for name, role in plan.roles.items():
        allowed = policies({**needs[name], **_assuming(targets.pop(name, ()))})
        found[name] = Identity(_what(role), allowed, _trust(role))
    for name, arns in targets.items():
        found[name] = Identity("the RAM user of the AccessKey", policies(_assuming(arns)), None)
    return found


def policies(permissions: Permissions) -> tuple[Policy, ...]:
    """Return policies that allow exactly these actions, each short enough for RAM."""
    by_actions: dict[frozenset[str], list[str]] = {}
    for resource, actions in permissions.items():
        by_actions.setdefault(actions, []).append(resource)
    documents: list[Policy] = []
    statements: list[Any] = []
    for statement in _statements(by_actions):
        if statements and len(as_json(_document([*statements, statement]))) > MAX_POLICY_CHARACTERS:
            documents.append(_document(statements))
            statements = []
        statements.append(statement)
    return (*documents, _document(statements)) if statements else ()


def as_json(policy: Policy) -> str:
    """Return the policy as JSON to paste."""
    return json.dumps(policy, indent=2, ensure_ascii=False)


def _document(statements: list[Any]) -> Policy:
    return {"Version": "1", "Statement": statements}


def _statements(by_actions: Mapping[frozenset[str], list[str]]) -> Iterator[Mapping[str, Any]]:
    """Yield one statement for each set of actions; several if one has too many resources for a policy."""
    for actions, resources in by_actions.items():
        chosen: list[str] = []
        for resource in sorted(resources):
            statement = _statement(actions, [*chosen, resource])
            if chosen and len(as_json(_document([statement]))) > MAX_POLICY_CHARACTERS:
                yield _statement(actions, chosen)
                chosen = []
            chosen.append(resource)
        yield _statement(actions, chosen)


def _statement(actions: Iterable[str], resources: list[str]) -> Mapping[str, Any]:
    return {"Effect": "Allow", "Action": sorted(actions), "Resource": resources}


def _needs(plan: Plan) -> Mapping[str, Permissions]:
    """Return by entry what its apps and the steps of `doctor` need."""
    needs: dict[str, dict[str, frozenset[str]]] = {name: {} for name in plan.roles}
    multipart = {each.use for each in plan.multipart}
    for use, app_ids in plan.buckets.items():
        of_bucket = {"oss:GetBucketInfo"}
        if use in plan.origins:
            of_bucket.add("oss:GetBucketCors")
        if use in multipart:
            of_bucket.add("oss:GetBucketLifecycle")
        of_role = needs[use.role]
        for app_id in app_ids:
            for resource, actions in _of_app(plan.registry.apps[app_id]).items():
                of_role[resource] = of_role.get(resource, frozenset()) | actions
        bucket = f"acs:oss:*:*:{use.bucket}"
        of_role[bucket] = of_role.get(bucket, frozenset()) | of_bucket
    return needs


def _of_app(app: App) -> Permissions:
    rules = app.rules
    needs = {
        f"acs:oss:*:*:{rules.bucket}/{prefix}*": frozenset(actions) for prefix, actions in permissions_of(app).items()
    }
    if (access := app.caller_access) is not None:
        resource = f"acs:oss:*:*:{access.bucket}/{access.prefix}*"
        needs[resource] = needs.get(resource, frozenset()).union(access.actions)
    headers = {name.lower(): value for name, value in {**rules.fields_with_one_value(), **rules.headers}.items()}
    if headers.get("x-oss-server-side-encryption", "").upper() == "KMS":
        # See: https://help.aliyun.com/zh/oss/developer-reference/putobject
        key = headers.get("x-oss-server-side-encryption-key-id")
        needs[f"acs:kms:*:*:key/{key}" if key else "acs:kms:*:*:key/*"] = _KMS_ACTIONS
    return needs


def _assuming(arns: Iterable[str]) -> Permissions:
    return {arn: frozenset({"sts:AssumeRole"}) for arn in arns}


def _what(role: Role) -> str:
    match role.entry:
        case EcsRamRole(role_name=name):
            return f"the RAM role {name}" if name else "the RAM role of the instance"
        case StsRole(role_arn=arn):
            return f"the RAM role {arn.rpartition('/')[2]}"
    return "the RAM user or role of the AccessKey"


def _trust(role: Role) -> Policy | None:
    match role.entry:
        case EcsRamRole():
            return _trusting({"Service": ["ecs.aliyuncs.com"]})
        case OidcRole(provider_arn=provider):
            equal = {"oidc:aud": "sts.aliyuncs.com", "oidc:sub": _SERVICE_ACCOUNT}
            return _trusting({"Federated": [provider]}, equal)
        case AssumeRole(external_id=external_id):
            equal = {} if external_id is None else {"sts:ExternalId": external_id}
            return _trusting({"RAM": [_assuming_arn(role.entry.role_arn, role.source)]}, equal)
    return None


def _assuming_arn(role_arn: str, source: Role | None) -> str:
    """Return who assumes the role: the source, or, where its name is unknown, whom the role's own account allows to."""
    entry = None if source is None else source.entry
    if isinstance(entry, StsRole):
        return entry.role_arn
    account = role_arn.split(":")[3]
    if isinstance(entry, EcsRamRole) and entry.role_name:
        return f"acs:ram::{account}:role/{entry.role_name}"
    return f"acs:ram::{account}:root"


def _trusting(principal: Mapping[str, Any], equal: Mapping[str, str] | None = None) -> Policy:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    if equal:
        statement["Condition"] = {"StringEquals": {name: [value] for name, value in equal.items()}}
    return {"Version": "1", "Statement": [statement]}
