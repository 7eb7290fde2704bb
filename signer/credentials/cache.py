"""The credential cache: a token for each role, kept fresh by a keeper each; requests only read.

Like botocore's RefreshableCredentials it replaces a token early, while the old one still serves. A request waits only
when nothing usable is there, and it never starts a fetch of its own, so one is made however many ask.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from datetime import datetime

from signer.clock import utc_now
from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.keeper import Keeper, Refresh, RolePlan, RoleState
from signer.signing.v4 import Credential


class RoleSet:
    """The roles of one revision of the definitions, by name. Requests that began with it may finish with it.

    Empty until the cache has prepared it; it may be handed to roles that use each other before that.
    """

    def __init__(self) -> None:
        self._keepers: dict[str, Keeper] = {}
        self._plans: dict[Hashable, tuple[str, RolePlan]] = {}
        """By identity: the first name, and a plan that covers all names."""
        self._new: list[Keeper] = []
        """Those that this set is the first to have."""

    def current(self, role: str, now: datetime) -> Credential | None:
        """A token that may be signed with at this moment, where there is one already."""
        return self._keepers[role].usable(now)

    async def get(self, role: str) -> Credential:
        """A token that covers the role's apps, or at least its `min_remaining`.

        Raises `CredentialsUnavailable` when there is none and no attempt under way gives one.
        """
        return await self._keepers[role].get()

    def refresh(self, role: str) -> None:
        """Fetches the role's token anew now, unless that is under way or fails already."""
        self._keepers[role].refresh()

    def states(self) -> list[RoleState]:
        return [keeper.state(name) for name, keeper in sorted(self._keepers.items())]

    async def wait_for_first_attempts(self, timeout_seconds: float) -> None:
        """Waits until the first attempt of each new role is over, well or not, or until the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                for keeper in self._new:
                    await keeper.first_attempt.wait()


class CredentialCache:
    def __init__(
        self,
        *,
        now: Callable[[], datetime] = utc_now,
        observe: Callable[[Refresh], None] = lambda _refresh: None,
    ) -> None:
        """`observe` is told of each attempt to fetch a token."""
        self._now = now
        self._observe = observe
        self._pacer = FetchPacer()
        self._keepers: dict[Hashable, Keeper] = {}
        self._in_force = RoleSet()

    def prepare(self, roles: RoleSet, plans: Mapping[str, RolePlan]) -> None:
        """Begins to keep a token for each of these roles, by name; those of the set in force go on untouched."""
        roles._plans = _equal_roles_together(plans)
        for identity, (name, plan) in roles._plans.items():
            if identity not in self._keepers:
                keeper = self._keepers[identity] = Keeper(name, plan, self._pacer, self._now, self._observe)
                keeper.start(self._token_of_former_key(name, plan))
                roles._new.append(keeper)
        roles._keepers = {name: self._keepers[plan.identity] for name, plan in plans.items()}

    def activate(self, roles: RoleSet) -> None:
        """From now on keeps the tokens of these roles and of no others; fetches under way come to their end."""
        for identity in self._keepers.keys() - roles._plans.keys():
            self._keepers.pop(identity).retire()
        for identity, (name, plan) in roles._plans.items():
            self._keepers[identity].adopt(name, plan.windows)
        self._in_force = roles

    def _token_of_former_key(self, name: str, plan: RolePlan) -> Credential | None:
        former = self._in_force._keepers.get(name)
        return None if former is None or former.grants != plan.grants else former.usable()

    async def close(self) -> None:
        keepers = list(self._keepers.values())
        for keeper in keepers:
            keeper.stop()
        await asyncio.gather(*(keeper.stopped() for keeper in keepers))


def _equal_roles_together(plans: Mapping[str, RolePlan]) -> dict[Hashable, tuple[str, RolePlan]]:
    """One plan for each identity, under the first name, covering the longest that any of its names needs."""
    together: dict[Hashable, tuple[str, RolePlan]] = {}
    for name, plan in plans.items():
        first, known = together.get(plan.identity, (name, plan))
        windows = replace(plan.windows, cover=max(plan.windows.cover, known.windows.cover))
        together[plan.identity] = (first, replace(known, windows=windows))
    return together
