"""GetCallerIdentity.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-getcalleridentity
"""

from __future__ import annotations

from hashlib import sha256

from localcloud.assume_role import role_id
from localcloud.world import AccessKey, Token


def caller_identity(caller: AccessKey | Token) -> dict[str, object]:
    """Return the response body without RequestId: a RAM user for an AccessKey, a role for a token."""
    if isinstance(caller, Token):
        identity, name = role_id(caller.role_arn), caller.role_arn.rpartition("/")[2]
        return {
            "AccountId": caller.account,
            "Arn": f"acs:ram::{caller.account}:assumed-role/{name}/{caller.session_name}",
            "IdentityType": "AssumedRoleUser",
            "PrincipalId": f"{identity}:{caller.session_name}",
            "RoleId": identity,
        }
    user = f"2{int(sha256(caller.id.encode()).hexdigest(), 16) % 10**17:017d}"
    return {
        "AccountId": caller.account,
        "Arn": f"acs:ram::{caller.account}:user/{caller.id.lower()}",
        "IdentityType": "RAMUser",
        "PrincipalId": user,
        "UserId": user,
    }
