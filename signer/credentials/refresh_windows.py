"""When a token is refreshed: the refresh windows of a role.

The end of a token's lifetime is required by the forms that are signed with it. The rest is spare:

    |------------ spare -------------|- required lifetime -|
    |               | advisory       | mandatory         |

The refresh starts at a random moment of the advisory window, while the old token still signs forms of full length. In
the mandatory window forms are shortened to the token's end, and below `min_remaining` the token is not used any more.

See: https://github.com/boto/botocore/blob/develop/botocore/credentials.py (RefreshableCredentials)
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

_ADVISORY_START, _ADVISORY_END = 0.5, 0.9
"""Parts of the spare lifetime."""
_MIN_DELAY_SECONDS = 0.1
_MAX_MANDATORY_DELAY_SECONDS = 60.0


class TokenState(StrEnum):
    """How useful a role's token is."""

    FRESH = "fresh"
    SHORT = "short"
    """It is usable, but forms expire before their app's `expires`."""
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class RefreshWindows:
    """How long the tokens of one role must live."""

    required_lifetime: timedelta
    """The longest `expires` of the apps that use the role."""
    min_remaining: timedelta
    """The lifetime that a token must have to be used at all."""

    @property
    def min_lifetime(self) -> timedelta:
        """The lifetime below which a token is unusable: `min_remaining`, unless all apps need less."""
        return min(self.min_remaining, self.required_lifetime)

    def token_state(self, remaining: timedelta) -> TokenState:
        """Return the state of a token with this much of its lifetime left."""
        if remaining <= self.min_lifetime:
            return TokenState.UNUSABLE
        return TokenState.FRESH if remaining >= self.required_lifetime else TokenState.SHORT

    def mean_seconds_until_refresh(self, lifetime: timedelta) -> float:
        """Return how often a token of this lifetime is refreshed, on average."""
        return self.seconds_until_refresh(lifetime, lambda low, high: (low + high) / 2)

    def seconds_until_refresh(self, remaining: timedelta, uniform: Callable[[float, float], float]) -> float:
        """Return the delay until the next refresh of a new token, random within its window.

        So roles that were fetched together are not refreshed together. `uniform` returns a random number from a range.
        """
        remaining_seconds = remaining.total_seconds()
        spare_seconds = remaining_seconds - self.required_lifetime.total_seconds()
        if spare_seconds > 0:
            return max(spare_seconds * uniform(_ADVISORY_START, _ADVISORY_END), _MIN_DELAY_SECONDS)
        # The token is too short already: metadata services rotate their tokens late, so retry soon.
        return min(_MAX_MANDATORY_DELAY_SECONDS, max(remaining_seconds / 4, 0.5)) * uniform(0.5, 1)
