"""Whether this process can sign for every app, for `/readyz` and its metric."""

from __future__ import annotations

from collections.abc import Iterable

from signer.credentials.clock_skew import ClockState, clock_state
from signer.credentials.role_state import RoleState


def can_sign(roles: Iterable[RoleState], clock_skew_seconds: float) -> bool:
    """Return whether all these roles have usable tokens and this machine's clock is accurate enough."""
    return clock_state(clock_skew_seconds) is not ClockState.WRONG and all(role.is_usable for role in roles)
