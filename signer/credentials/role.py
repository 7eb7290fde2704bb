"""A role: how its token is fetched, and what logs, metrics, /readyz and the status page show of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from signer.credentials.clock_skew import ClockState, clock_state
from signer.credentials.refresh_windows import RefreshWindows, TokenState
from signer.credentials.sources.credential_source import Source


@dataclass(frozen=True, slots=True)
class RolePlan:
    """How to fetch the token of one role, and how long it must live."""

    identity: Hashable
    """Roles with equal identities share one token."""
    source: Source
    windows: RefreshWindows
    permissions: Hashable = None
    """What a token allows: a role whose AccessKey changes continues with its token if this stays the same."""
    issuer: Hashable = None
    """Fetches of roles with equal issuers fail together, as by an outage of STS; None: the role has its own issuer."""
    timeout_seconds: float = 10.0
    """When a fetch ends at the latest."""


class RefreshReason(StrEnum):
    """Why a token is fetched."""

    START = "start"
    ADVISORY = "advisory"
    """The current token is fresh and is refreshed early."""
    MANDATORY = "mandatory"
    """The current token is shorter than the `expires` of the role's apps."""
    NO_TOKEN = "ended"  # noqa: S105
    RETRY = "retry"
    CHANGED = "changed"
    """The definitions name another AccessKey for the same role."""
    FORCED = "forced"
    """An operator requested another token, or STS or OSS rejected the current one."""

    @classmethod
    def planned(cls, state: TokenState, failures: int) -> RefreshReason:
        """Return the reason of a planned refresh; `failures` counts the attempts that failed since the last success."""
        if failures:
            return cls.RETRY
        return {
            TokenState.FRESH: cls.ADVISORY,
            TokenState.SHORT: cls.MANDATORY,
            TokenState.UNUSABLE: cls.NO_TOKEN,
        }[state]


@dataclass(frozen=True, slots=True)
class RefreshAttempt:
    """One completed attempt to fetch a token."""

    role: str
    reason: RefreshReason
    succeeded: bool
    seconds: float

    def log_fields(self) -> dict[str, object]:
        """Return the fields of its log line."""
        return {"role": self.role, "reason": self.reason, "seconds": round(self.seconds, 3)}


@dataclass(frozen=True, slots=True)
class RoleState:
    """The state of one role and its token."""

    role: str
    token_state: TokenState
    circuit_open: bool
    expires_at: datetime | None
    """When the last token expires or expired."""
    remaining: timedelta | None
    """None if there is no token, or it does not expire."""
    last_error: str | None
    next_attempt_at: datetime | None
    fetched_at: datetime | None
    """None if no token was fetched yet, or the current one was fetched with an earlier AccessKey."""
    required_lifetime: timedelta
    """The lifetime that the role's apps need of a token; it is refreshed before less than this remains."""
    is_pending: bool = False
    """Whether it has no usable token, but no fetch failed: its token is fetched at the first request at the latest."""

    @property
    def is_usable(self) -> bool:
        """Whether the role has a token to sign with."""
        return self.token_state is not TokenState.UNUSABLE


def can_sign(roles: Iterable[RoleState], clock_skew_seconds: float) -> bool:
    """Return whether all these roles have usable tokens and this machine's clock is accurate enough."""
    return clock_state(clock_skew_seconds) is not ClockState.WRONG and all(role.is_usable for role in roles)
