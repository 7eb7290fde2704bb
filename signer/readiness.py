"""Whether this process can sign for every app: what /readyz answers, and the metric of it."""

from __future__ import annotations

from collections.abc import Iterable

from signer.credentials.keeper import RoleState
from signer.credentials.skew import Verdict, verdict_on


def can_sign(roles: Iterable[RoleState], clock_skew_seconds: float) -> bool:
    """Every role that an enabled app uses holds a usable credential, and our clock is right."""
    return verdict_on(clock_skew_seconds) is not Verdict.WRONG and all(role.usable for role in roles)
