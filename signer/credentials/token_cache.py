"""The tokens of all roles, each kept until it is no longer usable."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from cachetools import TLRUCache

from signer.signing.v4 import Credential


class TokenOwner(Protocol):
    """What a token is stored for: the keeper of a role."""

    def usable_until(self, token: Credential) -> float:
        """Return the time until which the token may be used to sign, in epoch seconds."""
        ...


class TokenCache:
    """A time-aware cache with one token per owner. Use it in the event loop; only `has` may run in another thread.

    See: https://cachetools.readthedocs.io/en/stable/#cachetools.TLRUCache
    """

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        """Create an empty cache; `wall_clock` returns epoch seconds, since tokens expire by the wall clock."""
        self._wall_clock = wall_clock
        self._tokens = self._new_cache(owners=1)

    def _new_cache(self, owners: int) -> TLRUCache[TokenOwner, Credential]:
        # Twice the size that is needed: a full cache evicts tokens that are still usable.
        return TLRUCache(2 * owners, lambda owner, token, _now: owner.usable_until(token), self._wall_clock)

    def reserve(self, owners: int) -> None:
        """Make sure that the tokens of this many owners fit."""
        if owners > self._tokens.maxsize:
            larger = self._new_cache(owners)
            larger.update(self._tokens)
            self._tokens = larger

    def get(self, owner: TokenOwner) -> Credential | None:
        """Return the owner's token, or None if there is none or it is no longer usable."""
        try:
            return self._tokens[owner]
        except KeyError:
            return None

    def has(self, owner: TokenOwner) -> bool:
        """Return whether the owner has a usable token."""
        return owner in self._tokens

    def store(self, owner: TokenOwner, token: Credential) -> None:
        """Replace the owner's token. A token that is not usable is not stored, and removes the earlier one."""
        self._tokens[owner] = token

    def remove(self, owner: TokenOwner) -> Credential | None:
        """Remove the owner's token and return it if it is still usable."""
        return self._tokens.pop(owner, None)
