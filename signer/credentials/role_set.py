"""The roles of one revision of the definitions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable, Mapping, Sequence

from signer.credentials.keeper import Keeper
from signer.credentials.role_plan import RolePlan
from signer.credentials.role_state import RoleState
from signer.credentials.token_cache import TokenCache
from signer.signing.v4 import Credential


class RoleSet:
    """The roles of one revision of the definitions, by name.

    It is empty until `KeeperPool.prepare` fills it: sources of roles that are assumed with other roles refer to it
    before the keepers exist. A request uses the role set of its revision, even when a newer one is active.
    """

    def __init__(self) -> None:
        self._tokens = TokenCache()
        self.keepers: Mapping[str, Keeper] = {}
        self.plans: Mapping[Hashable, tuple[str, RolePlan]] = {}
        """By identity: the first name of the role, and a plan that satisfies all its names."""
        self._new_keepers: Sequence[Keeper] = ()

    def fill(
        self,
        tokens: TokenCache,
        keepers: Mapping[str, Keeper],
        plans: Mapping[Hashable, tuple[str, RolePlan]],
        new_keepers: Sequence[Keeper],
    ) -> None:
        """Set the keepers of all roles and their tokens; `new_keepers` are those that no earlier role set had."""
        self._tokens = tokens
        self.keepers = keepers
        self.plans = plans
        self._new_keepers = new_keepers

    def current(self, role: str) -> Credential | None:
        """Return the role's token, or None if it has none or was removed: then `get` waits for one if possible."""
        return self._tokens[self.keepers[role]]

    async def get(self, role: str) -> Credential:
        """Return a token to sign with, and wait for the current attempt to fetch one if there is none.

        Raises:
            CredentialsUnavailable: The role has no token, and it cannot be fetched right now.
        """
        return await self.keepers[role].get()

    def refresh(self, role: str) -> None:
        """Refresh the role's token now, unless its last refresh failed."""
        self.keepers[role].refresh()

    def states(self) -> list[RoleState]:
        """Return the state of each role, sorted by name; safe in any thread."""
        return [keeper.state(name) for name, keeper in sorted(self.keepers.items())]

    async def wait_for_first_attempts(self, timeout_seconds: float) -> None:
        """Wait until each new role has tried to fetch its token, or until the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                for keeper in self._new_keepers:
                    await keeper.first_attempt_done.wait()
