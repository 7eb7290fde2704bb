"""The bar that shows how much of a token's life is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from signer.credentials.role import RoleState

_ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class LifeBar:
    """A bar from 0 to 100."""

    left_percent: float
    tick_percent: float
    """Where forms begin to expire before their app's `expires`."""
    label: str


def life_bar(role: RoleState) -> LifeBar | None:
    """Return the bar of a role's token; None without a token that expires."""
    if role.remaining is None:
        return None
    if role.remaining <= timedelta():
        return LifeBar(0, 0, "nothing left")
    life = role.remaining if role.fetched_at is None or role.expires_at is None else role.expires_at - role.fetched_at
    life = max(life, _ONE_SECOND)
    left_percent = 100 * min(1.0, role.remaining / life)
    return LifeBar(left_percent, 100 * (role.required_life / life), f"{left_percent:.0f} % of the token's life left")
