"""Starts a keeper for each role, and keeps the keepers of unchanged roles over reloads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace

from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.keeper import Keeper
from signer.credentials.role_plan import RolePlan
from signer.credentials.role_set import RoleSet
from signer.credentials.role_state import RefreshAttempt
from signer.credentials.token_cache import TokenCache
from signer.signing.v4 import Credential


class KeeperPool:
    """One keeper for each distinct role; all their tokens are in one cache. Close it in its event loop."""

    def __init__(
        self,
        *,
        wall_clock: Callable[[], float] = time.time,
        on_attempt: Callable[[RefreshAttempt], None] = lambda _attempt: None,
    ) -> None:
        """Create an empty pool.

        Args:
            wall_clock: Returns epoch seconds.
            on_attempt: Called after each attempt to fetch a token.
        """
        self._wall_clock = wall_clock
        self._on_attempt = on_attempt
        self._tokens = TokenCache(wall_clock)
        self._pacer = FetchPacer()
        self._keepers: dict[Hashable, Keeper] = {}
        """By the identity of their role."""
        self._active = RoleSet()

    def prepare(self, roles: RoleSet, plans: Mapping[str, RolePlan]) -> None:
        """Fill a role set and start the keepers of new roles. The active role set is not affected.

        Args:
            roles: An empty role set.
            plans: A plan for each role, by name.
        """
        merged = _merge_equal_roles(plans)
        new_keepers = {
            identity: self._new_keeper(name, plan)
            for identity, (name, plan) in merged.items()
            if identity not in self._keepers
        }
        self._keepers |= new_keepers
        for identity, keeper in new_keepers.items():
            name, plan = merged[identity]
            keeper.start(self._token_of_previous_key(name, plan))
        keepers = {name: self._keepers[plan.identity] for name, plan in plans.items()}
        roles.fill(self._tokens, keepers, merged, list(new_keepers.values()))

    def activate(self, roles: RoleSet) -> None:
        """Make a prepared role set the active one, and retire the keepers of all other roles."""
        for identity in self._keepers.keys() - roles.plans.keys():
            self._keepers.pop(identity).retire()
        for identity, (name, plan) in roles.plans.items():
            self._keepers[identity].reconfigure(name, plan.windows)
        self._active = roles

    async def close(self) -> None:
        """End all keepers and the fetches under way."""
        await asyncio.gather(*(keeper.close() for keeper in self._keepers.values()))

    def _new_keeper(self, name: str, plan: RolePlan) -> Keeper:
        return Keeper(
            name, plan, tokens=self._tokens, pacer=self._pacer, wall_clock=self._wall_clock, on_attempt=self._on_attempt
        )

    def _token_of_previous_key(self, name: str, plan: RolePlan) -> Credential | None:
        keeper = self._active.keepers.get(name)
        return keeper.current() if keeper is not None and keeper.permissions == plan.permissions else None


def _merge_equal_roles(plans: Mapping[str, RolePlan]) -> dict[Hashable, tuple[str, RolePlan]]:
    """Return by identity the first name of a role, and a plan that satisfies all its names."""
    merged: dict[Hashable, tuple[str, RolePlan]] = {}
    for name, plan in plans.items():
        first_name, first_plan = merged.get(plan.identity, (name, plan))
        required_life = max(plan.windows.required_life, first_plan.windows.required_life)
        windows = replace(plan.windows, required_life=required_life)
        merged[plan.identity] = (first_name, replace(first_plan, windows=windows))
    return merged
