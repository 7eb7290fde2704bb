"""The tokens of all roles, each kept until it is no longer usable."""

import math
import time
from collections.abc import Callable
from typing import Protocol

from cachetools import TLRUCache

from signer.signing.v4 import Credential


class TokenOwner(Protocol):
    """What a token is stored for: the keeper of a role."""

    def usable_until(self, token: Credential) -> float:
        """Return the time until which the token may be used to sign, in epoch seconds."""


class TokenCache(TLRUCache[TokenOwner, Credential | None]):
    """One token per owner: `cache[owner]` is the token, or None if there is none or it is no longer usable.

    Storing a token that is not usable removes the earlier one. Use the cache in the event loop; only `in` is safe in
    other threads.

    See: https://cachetools.readthedocs.io/en/stable/#cachetools.TLRUCache
    """

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        # Without a maximum size, since a full cache evicts tokens that are still usable. There is one per role.
        super().__init__(
            math.inf,
            lambda owner, token, _now: -math.inf if token is None else owner.usable_until(token),
            timer=wall_clock,
        )

    def __missing__(self, owner: TokenOwner) -> None:
        return None
