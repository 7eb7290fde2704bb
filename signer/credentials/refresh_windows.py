"""When a token is good, and when it is replaced: the refresh windows of one role. Pure arithmetic.

Of a token's life, `cover` at its end is needed by the forms that are signed with it. What is left over is spare:

    |------------ spare -------------|-- cover --|
    | first half    | advisory       | mandatory |

Somewhere in the advisory half a new token is fetched while the old one goes on serving. In the mandatory window forms
get shorter, down to `least`; below that the token is not signed with any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

_FOR_EVER = datetime.max.replace(tzinfo=UTC)


class TokenState(StrEnum):
    FRESH = "fresh"
    SHORT = "short"
    """Usable, but forms end before their app's `expires`."""
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class RefreshWindows:
    cover: timedelta
    """The longest `expires` of the apps that use the role."""
    least: timedelta

    def token_state(self, remaining: timedelta) -> TokenState:
        if remaining >= self.cover:
            return TokenState.FRESH
        return TokenState.SHORT if remaining >= min(self.least, self.cover) else TokenState.UNUSABLE

    def usable_until(self, expiration: datetime | None) -> datetime:
        """The last moment at which a token may be signed with; one without end may be for ever."""
        if expiration is None:
            return _FOR_EVER
        return expiration - min(self.least, self.cover)

    def seconds_usable(self, remaining: timedelta) -> float:
        """How long a token with so much life left may still be signed with."""
        return max(0.0, (remaining - min(self.least, self.cover)).total_seconds())

    def seconds_until_refresh(self, remaining: timedelta, uniform: Callable[[float, float], float]) -> float:
        """A random moment of the advisory window, so that roles fetched together never come back together."""
        left = remaining.total_seconds()
        spare = left - self.cover.total_seconds()
        if spare > 0:
            return max(spare * uniform(0.5, 0.9), 0.1)
        # The token was too short when it came: metadata services rotate late, so ask again soon.
        return min(60.0, max(left / 4, 0.5)) * uniform(0.5, 1)
