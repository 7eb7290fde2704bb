"""The credential cache: a token for each role, kept fresh by a keeper each; requests only read.

Like botocore's RefreshableCredentials it replaces a token early, while the old one still serves. A request waits only
when nothing usable is there, and it never starts a fetch of its own, so one is made however many ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from cachetools import TLRUCache

from signer.credentials.keeper import Keeper, RolePlan, RoleState
from signer.credentials.pacer import Pacer
from signer.v4 import Credential

_MAX_ROLES = 100_000


def utc_now() -> datetime:
    return datetime.now(UTC)


class CredentialCache:
    def __init__(self, *, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._tokens: TLRUCache[Hashable, Credential] = TLRUCache(
            maxsize=_MAX_ROLES, ttu=_time_to_use, timer=lambda: now().timestamp()
        )
        self._pacer = Pacer()
        self._keepers: dict[str, Keeper] = {}

    def serve(self, plans: Mapping[str, RolePlan]) -> None:
        """From now on keeps a token for each of these roles, by name; tokens of equal roles are taken over."""
        keepers = {
            identity: Keeper(name, plan, self._tokens, self._pacer, self._now)
            for identity, (name, plan) in _equal_roles_together(plans).items()
        }
        old, self._keepers = self._keepers, {name: keepers[plan.identity] for name, plan in plans.items()}
        for keeper in keepers.values():
            keeper.start()
        for keeper in set(old.values()):
            keeper.stop()

    async def get(self, role: str) -> Credential:
        """A token that covers the role's apps, or at least its `min_remaining`.

        Raises `CredentialsUnavailable` when there is none and no attempt under way gives one.
        """
        return await self._keepers[role].get()

    def states(self) -> list[RoleState]:
        return [keeper.state(name) for name, keeper in sorted(self._keepers.items())]

    async def settle(self, timeout_seconds: float) -> None:
        """Waits until each role's first attempt is over, well or not, or until the timeout."""
        attempts = [asyncio.create_task(keeper.first_attempt.wait()) for keeper in set(self._keepers.values())]
        if attempts:
            _, late = await asyncio.wait(attempts, timeout=timeout_seconds)
            for task in late:
                task.cancel()

    async def close(self) -> None:
        keepers = set(self._keepers.values())
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


def _time_to_use(_identity: Hashable, credential: Credential, now: float) -> float:
    return credential.expiration.timestamp() if credential.expiration is not None else now + 10**9
