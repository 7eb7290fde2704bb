"""AssumeRole, and what AssumeRoleWithOIDC shares with it.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

from __future__ import annotations

import json
import re
from hashlib import sha256

from localcloud.ram import BadPolicy, NotEvaluated, allows, check_grammar
from localcloud.sts_errors import StsError
from localcloud.trust import trusts
from localcloud.world import AccessKey, Policy, Role, Token, World, account_of, iso

_ROLE_ARN = re.compile(r"acs:ram::([0-9]+):role/[\w.@-]+", re.ASCII)
_SESSION_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}", re.ASCII)
_MAX_POLICY_CHARACTERS = 2048


def assume_role(world: World, caller: AccessKey | Token, parameters: dict[str, str]) -> dict[str, object]:
    """Return the response body without RequestId. Raise `StsError` as STS does."""
    role = known_role(world, parameters)
    session = checked_session(role, parameters)
    external_id = parameters.get("ExternalId", "")
    if (
        not _may_assume(world, caller, role)
        or not role.trusted
        or (role.external_id is not None and external_id != role.external_id)
        or not trusts(role.trust_policy, "RAM", _arn(caller), {"sts:ExternalId": external_id})
    ):
        raise StsError(
            403, "NoPermission", "You are not authorized to do this action. You should be authorized by RAM."
        )
    return issue_token(world, role, *session)


def _may_assume(world: World, caller: AccessKey | Token, role: Role) -> bool:
    if isinstance(caller, Token):
        return allows(world.policies_of(caller), "sts:AssumeRole", role.arn)
    return caller.policy is None or allows((caller.policy,), "sts:AssumeRole", role.arn)


def _arn(caller: AccessKey | Token) -> str:
    """Return the ARN by which a trust policy names the caller."""
    return caller.role_arn if isinstance(caller, Token) else f"acs:ram::{caller.account}:user/{caller.id.lower()}"


def known_role(world: World, parameters: dict[str, str]) -> Role:
    arn = parameters.get("RoleArn", "")
    if not _ROLE_ARN.fullmatch(arn):
        raise StsError(400, "InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.")
    role = world.roles.get(arn) or (Role(arn) if world.has_account(account_of(arn)) else None)
    if role is None:
        raise StsError(404, "EntityNotExist.Role", f"The role not exists: {arn}.")
    return role


def checked_session(role: Role, parameters: dict[str, str]) -> tuple[str, int, Policy | None]:
    """Return the session's name, duration in seconds and policy."""
    name = parameters.get("RoleSessionName", "")
    if not _SESSION_NAME.fullmatch(name):
        raise StsError(400, "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.")
    seconds = parameters.get("DurationSeconds", "3600")
    if not re.fullmatch("[0-9]{1,9}", seconds) or not 900 <= int(seconds) <= role.max_session_seconds:
        raise StsError(400, "InvalidParameter.DurationSeconds", "The Min/Max value of DurationSeconds is 15min/1hr.")
    return name, int(seconds), _session_policy(parameters.get("Policy"))


def issue_token(world: World, role: Role, session_name: str, seconds: int, policy: Policy | None) -> dict[str, object]:
    policies = () if policy is None else (policy,)
    token = world.issue(role_arn=role.arn, session_name=session_name, seconds=seconds, policies=policies)
    name = role.arn.rpartition("/")[2]
    return {
        "AssumedRoleUser": {
            "Arn": f"acs:ram::{account_of(role.arn)}:role/{name}/{session_name}",
            "AssumedRoleId": f"{role_id(role.arn)}:{session_name}",
        },
        "Credentials": {
            "AccessKeyId": token.id,
            "AccessKeySecret": token.secret,
            "SecurityToken": token.security_token,
            "Expiration": iso(token.expiration),
        },
    }


def role_id(role_arn: str) -> str:
    """Return the id of a role, which is a number of 18 digits."""
    return f"3{int(sha256(role_arn.encode()).hexdigest(), 16) % 10**17:017d}"


def _session_policy(text: str | None) -> Policy | None:
    if text is None:
        return None
    if not 1 <= len(text) <= _MAX_POLICY_CHARACTERS:
        raise StsError(400, "InvalidParameter.PolicySize", "The parameter Policy is too long.")
    try:
        return check_grammar(json.loads(text))
    except NotEvaluated as error:
        raise StsError(501, "NotImplemented", str(error)) from None
    except (BadPolicy, ValueError, RecursionError):
        message = "The parameter Policy has not passed grammar check."
        raise StsError(400, "InvalidParameter.PolicyGrammar", message) from None
