"""Trust policies of roles: who may assume a role. Conditions have StringEquals only.

See: https://help.aliyun.com/zh/ram/user-guide/edit-the-trust-policy-of-a-ram-role
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.ram import BadPolicy, NotEvaluated, checked_statements, texts
from localcloud.world import Policy, account_of

_PRINCIPALS = ("RAM", "Service", "Federated")


def check_trust_grammar(document: Any) -> Policy:
    """Return the document. Raise `BadPolicy` if it is not a trust policy, or has what this cloud does not evaluate."""
    for statement in checked_statements(document, {"Effect", "Action", "Principal", "Condition"}):
        if statement.get("Effect") != "Allow":
            raise BadPolicy("Effect must be Allow: this cloud does not evaluate Deny in trust policies")
        if statement.get("Action") != "sts:AssumeRole":
            raise BadPolicy("Action must be sts:AssumeRole")
        principal = statement.get("Principal", {})
        if not _has_texts(principal) or set(principal) - {*_PRINCIPALS}:
            raise BadPolicy(f"Principal must have {', '.join(_PRINCIPALS)}, with texts or lists of texts")
        if "Condition" in statement and not _is_string_equals(statement["Condition"]):
            raise NotEvaluated("this cloud evaluates only StringEquals in conditions, with texts or lists of texts")
    policy: Policy = document
    return policy


def _is_string_equals(condition: Any) -> bool:
    return isinstance(condition, dict) and set(condition) == {"StringEquals"} and _has_texts(condition["StringEquals"])


def _has_texts(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(texts, value.values()))


def trusts(policy: Policy | None, kind: str, principal: str, values: Mapping[str, str]) -> bool:
    """Return whether a trust policy lets a principal assume the role; without a policy, everybody may.

    `values` are those that conditions are compared with, such as `sts:ExternalId`.
    """
    return policy is None or any(
        _names(statement["Principal"].get(kind, []), kind, principal)
        and all(
            values.get(name) in texts(expected)
            for name, expected in statement.get("Condition", {}).get("StringEquals", {}).items()
        )
        for statement in policy["Statement"]
    )


def _names(listed: Any, kind: str, principal: str) -> bool:
    """Return whether the principal is listed. The root of an account means all its users and roles."""
    allowed = texts(listed)
    return principal in allowed or (kind == "RAM" and f"acs:ram::{account_of(principal)}:root" in allowed)
