"""The roles of one revision of the definitions, and the pool of keepers that outlive it."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from weakref import WeakValueDictionary

from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.issuer import Issuer
from signer.credentials.keeper import Keeper
from signer.credentials.role import RefreshAttempt, RolePlan, RoleState
from signer.credentials.token_cache import TokenCache
from signer.credentials.token_replacement import TokenReplacement, replacement_of
from signer.signing.v4 import Credential


class RoleSet:
    """The roles of one revision of the definitions, by name.

    It is empty until `KeeperPool.prepare` fills it: sources of roles that are assumed with other roles refer to it
    before the keepers exist. A request uses the role set of its revision, even when a newer one is active.
    """

    def __init__(self) -> None:
        self.tokens = TokenCache()
        self.keepers: Mapping[str, Keeper] = {}
        self.new_keepers: Sequence[Keeper] = ()
        """Those that no earlier role set had."""
        self.plans: Mapping[Hashable, tuple[str, RolePlan]] = {}
        """By identity: the first name of the role, and a plan that satisfies all its names."""

    def current(self, role: str) -> Credential | None:
        """Return the role's token, or None if it has none or was removed: then `get` waits for one if possible."""
        keeper = self.keepers[role]
        keeper.demand += 1
        return self.tokens[keeper.token]

    async def get(self, role: str) -> Credential:
        """Return a token to sign with, waiting for the current fetch, or raise `CredentialsUnavailable`."""
        return await self.keepers[role].get()

    async def get_for_period(self, role: str, start: datetime, end: datetime) -> Credential:
        """Return one token for all requests of a period, if it is valid until the end, or raise as `get` does.

        A token that the role replaces meanwhile is kept for the rest of the period, unless it was rejected.
        """
        keeper = self.keepers[role]
        token = keeper.token.pinned(start, end)
        if token is None:
            token = self.current(role) or await keeper.get()
            keeper.token.pin(token, start, end)
        return token

    def reject(self, role: str, token: Credential, *, keep: bool) -> None:
        """Replace a token of the role that STS or OSS rejected; use it until then only if `keep`."""
        self.keepers[role].reject(token, keep=keep)

    def record_revocation(self, role: str) -> None:
        """Record that an earlier token of the role was revoked."""
        self.keepers[role].token.revocations += 1

    def revocation_of(self, role: str) -> Hashable:
        """Return a value that differs for roles with other tokens, and after the tokens of a role were revoked."""
        keeper = self.keepers[role]
        return keeper, keeper.token.revocations

    def states(self) -> list[RoleState]:
        """Return the state of each role, sorted by name; safe in any thread."""
        return [keeper.state(name) for name, keeper in sorted(self.keepers.items())]

    async def wait_for_first_attempts(self, timeout_seconds: float) -> None:
        """Wait until each new role has tried to fetch its token, or until the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                for keeper in self.new_keepers:
                    await keeper.is_settled.wait()


class KeeperPool:
    """One keeper for each distinct role; all their tokens are in one cache. Close it in its event loop."""

    def __init__(
        self,
        *,
        pacer: FetchPacer,
        wall_clock: Callable[[], float] = time.time,
        on_attempt: Callable[[RefreshAttempt], None] = lambda _attempt: None,
    ) -> None:
        self._on_attempt = on_attempt
        """Called after each attempt to fetch a token."""
        self._tokens = TokenCache(wall_clock)
        self._pacer = pacer
        self._keepers: dict[Hashable, Keeper] = {}
        """By the identity of their role."""
        self._issuers: WeakValueDictionary[Hashable, Issuer] = WeakValueDictionary()
        """Those of the keepers, by `RolePlan.issuer`."""
        self._active = RoleSet()
        self._prepared = RoleSet()
        """The role set that is to become active next, or the active one."""

    def prepare(self, roles: RoleSet, plans: Mapping[str, RolePlan]) -> None:
        """Fill an empty role set by plans for each role name, and start new keepers; the active set is not affected."""
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
        roles.tokens, roles.plans = self._tokens, merged
        roles.keepers = {name: self._keepers[plan.identity] for name, plan in plans.items()}
        roles.new_keepers = list(new_keepers.values())
        self._prepared = roles

    def activate(self, roles: RoleSet) -> None:
        """Make a prepared role set the active one, and retire the keepers of all other roles."""
        for identity in self._keepers.keys() - roles.plans.keys():
            self._keepers.pop(identity).retire()
        for identity, (name, plan) in roles.plans.items():
            self._keepers[identity].reconfigure(name, plan.windows)
        self._active = roles

    async def replace_tokens(self, role: str | None, *, keep: bool, timeout_seconds: float) -> list[TokenReplacement]:
        """Replace the tokens of all roles of a credentials entry, or of all roles; return how that ended, by role name.

        This includes the roles that a reload in progress adds. The list is empty if no role has the name.

        Args:
            role: the name of a credentials entry or, with `scope: app`, of one of its roles.
            keep: use the current tokens until their replacements arrive.
        """
        keepers = {
            (name, keeper)
            for roles in (self._active, self._prepared)
            for name, keeper in roles.keepers.items()
            if role is None or role in (name, name.partition("/")[0])
        }
        for keeper in {keeper for _, keeper in keepers}:
            keeper.replace(keep=keep)
        waits = (replacement_of(name, keeper, timeout_seconds) for name, keeper in keepers)
        return sorted(await asyncio.gather(*waits), key=lambda replacement: replacement.role)

    async def close(self) -> None:
        """End all keepers and the fetches under way."""
        await asyncio.gather(*(keeper.close() for keeper in self._keepers.values()))

    def _new_keeper(self, name: str, plan: RolePlan) -> Keeper:
        key = ("role", plan.identity) if plan.issuer is None else ("issuer", plan.issuer)
        issuer = self._issuers.get(key)
        if issuer is None:
            issuer = self._issuers[key] = Issuer(asyncio.get_running_loop().time)
        return Keeper(name, plan, tokens=self._tokens, issuer=issuer, pacer=self._pacer, on_attempt=self._on_attempt)

    def _token_of_previous_key(self, name: str, plan: RolePlan) -> Credential | None:
        keeper = self._active.keepers.get(name)
        return keeper.token.current() if keeper is not None and keeper.permissions == plan.permissions else None


def _merge_equal_roles(plans: Mapping[str, RolePlan]) -> dict[Hashable, tuple[str, RolePlan]]:
    """Return by identity the first name of a role, and a plan that satisfies all its names."""
    merged: dict[Hashable, tuple[str, RolePlan]] = {}
    for name, plan in plans.items():
        first_name, first_plan = merged.get(plan.identity, (name, plan))
        required_lifetime = max(plan.windows.required_lifetime, first_plan.windows.required_lifetime)
        windows = replace(plan.windows, required_lifetime=required_lifetime)
        merged[plan.identity] = (first_name, replace(first_plan, windows=windows))
    return merged
