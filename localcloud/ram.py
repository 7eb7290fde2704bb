"""RAM policies: checks the grammar, and whether a policy allows an action on a resource.

See: https://help.aliyun.com/zh/ram/user-guide/policy-elements
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from localcloud.world import Policy


class BadPolicy(ValueError):
    """The document is not a RAM policy."""


class NotEvaluated(BadPolicy):
    """The document may be a RAM policy, but has what this cloud does not evaluate."""


def check_grammar(document: Any) -> Policy:
    """Return the document. Raise `BadPolicy` if it is not a RAM policy, or has what this cloud does not evaluate."""
    for statement in checked_statements(document, {"Effect", "Action", "Resource"}):
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise BadPolicy("Effect must be Allow or Deny")
        if not texts(statement.get("Action")) or not texts(statement.get("Resource")):
            raise BadPolicy("Action and Resource must be a text or a list of texts")
    policy: Policy = document
    return policy


def checked_statements(document: Any, evaluated: set[str]) -> list[dict[str, Any]]:
    """Return the statements of a policy. Raise `NotEvaluated` if one has another member than these."""
    if not isinstance(document, dict) or document.get("Version") != "1" or set(document) != {"Version", "Statement"}:
        raise BadPolicy('a policy needs Version "1" and Statement')
    statements = document["Statement"]
    if not isinstance(statements, list) or not statements:
        raise BadPolicy("Statement must be a list")
    for statement in statements:
        if not isinstance(statement, dict):
            raise BadPolicy("Statement must be a list of objects")
        if set(statement) - evaluated:
            raise NotEvaluated(f"this cloud evaluates only {', '.join(sorted(evaluated))} of a statement")
    return statements


def allows(policies: tuple[Policy, ...], action: str, resource: str) -> bool:
    """Return whether every policy allows it: a session policy only narrows the role's own."""
    return all(_policy_allows(policy, action, resource) for policy in policies)


def denies(policies: tuple[Policy, ...], action: str, resource: str) -> bool:
    """Return whether a statement forbids it explicitly, whatever others allow."""
    return any("Deny" in _effects(policy, action, resource) for policy in policies)


def _policy_allows(policy: Policy, action: str, resource: str) -> bool:
    return _effects(policy, action, resource) == {"Allow"}


def _effects(policy: Policy, action: str, resource: str) -> set[str]:
    return {
        statement["Effect"]
        for statement in policy["Statement"]
        if any(_matches(pattern.lower(), action.lower()) for pattern in texts(statement["Action"]))
        and any(_matches(pattern, resource) for pattern in texts(statement["Resource"]))
    }


def texts(value: Any) -> list[str]:
    """Return a text or a list of texts as a list; empty if it is neither."""
    values = value if isinstance(value, list) else [value]
    return values if all(isinstance(each, str) for each in values) else []


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
