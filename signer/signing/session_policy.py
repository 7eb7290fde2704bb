"""Session policies: what a token of a role may do at most.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

MAX_SESSION_POLICY_CHARACTERS = 2048


def session_policy(bucket: str, permissions: Mapping[str, Sequence[str]]) -> str:
    """Return the policy that allows RAM actions on objects, by the prefix that their keys begin with.

    RAM's wildcards in a prefix have their effect: `*` is any text, also with slashes, and `?` any character.

    See: https://help.aliyun.com/zh/ram/user-guide/policy-elements
    """
    resources: dict[tuple[str, ...], list[str]] = {}
    for prefix, actions in permissions.items():
        resources.setdefault(tuple(actions), []).append(f"acs:oss:*:*:{bucket}/{prefix}*")
    statements = [
        {"Effect": "Allow", "Action": _one_or_list(actions), "Resource": _one_or_list(allowed)}
        for actions, allowed in resources.items()
    ]
    return json.dumps({"Version": "1", "Statement": statements}, ensure_ascii=False, separators=(",", ":"))


def _one_or_list(values: Sequence[str]) -> object:
    return values[0] if len(values) == 1 else list(values)


@dataclass(frozen=True, slots=True)
class CallerAccess:
    """What the temporary credential of each caller of an app allows, and its lifetime."""

    bucket: str
    prefix: str
    """The part of the key prefix before the caller's id; the same for all callers."""
    actions: tuple[str, ...]
    """The RAM actions."""
    duration: timedelta
    also_readable: tuple[str, ...] = ()
    """The prefixes of other objects that every caller may read."""

    def policy(self, caller: str) -> str:
        """Return the session policy for a caller whose id `check_caller` accepts, so it has no wildcard or slash."""
        readable = dict.fromkeys(self.also_readable, ("oss:GetObject",))
        return session_policy(self.bucket, {**readable, f"{self.prefix}{caller}/": self.actions})
