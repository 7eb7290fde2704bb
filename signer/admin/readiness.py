"""Whether this process can sign for every app: what /readyz answers, and the metric of it."""

from __future__ import annotations

from collections.abc import Iterable

from signer.credentials.clock_skew import ClockState, clock_state
from signer.credentials.keeper import RoleState


def can_sign(roles: Iterable[RoleState], clock_skew_seconds: float) -> bool:
    """Every role that an enabled app uses holds a usable credential, and our clock is right."""
    return clock_state(clock_skew_seconds) is not ClockState.WRONG and all(role.usable for role in roles)
