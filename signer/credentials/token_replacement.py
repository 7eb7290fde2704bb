"""Replaces the token of a role because an operator requests it, and returns how that ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from signer.credentials.keeper import Keeper


class ReplacementOutcome(StrEnum):
    """How the replacement of a token ended."""

    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    """The source returned the same token, which is used again: an AccessKey, or a token that was not rotated yet."""
    FAILED = "failed"
    WAITING = "waiting"
    """The fetch has not ended in time, and continues."""
    REMOVED = "removed"
    """A reload removed the role meanwhile."""


@dataclass(frozen=True, slots=True)
class TokenReplacement:
    """How the replacement of one role's token ended."""

    role: str
    outcome: ReplacementOutcome
    expires_at: datetime | None
    """When the token that is used now expires; None if there is none, or it does not expire."""
    error: str | None
    """Why the fetch failed, without secrets."""
    next_attempt_at: datetime | None
    """When a failed fetch is retried."""

    @property
    def succeeded(self) -> bool:
        """Whether the source has returned a token, or none is needed."""
        return self.outcome not in (ReplacementOutcome.FAILED, ReplacementOutcome.WAITING)


async def replacement_of(role: str, keeper: Keeper, timeout_seconds: float) -> TokenReplacement:
    """Wait for the end of `Keeper.replace`, and return how it ended; `role` is a name of the keeper's role."""
    has_ended = await keeper.wait_until_replaced(timeout_seconds)
    state = keeper.state(role)
    if keeper.is_retired:
        outcome = ReplacementOutcome.REMOVED
    elif not has_ended:
        outcome = ReplacementOutcome.WAITING
    elif state.last_error is not None:
        outcome = ReplacementOutcome.FAILED
    else:
        outcome = ReplacementOutcome.UNCHANGED if keeper.token.is_reissued else ReplacementOutcome.REPLACED
    has_failed = outcome is ReplacementOutcome.FAILED
    return TokenReplacement(
        role,
        outcome,
        expires_at=state.expires_at if state.is_usable else None,
        error=state.last_error if has_failed else None,
        next_attempt_at=state.next_attempt_at if has_failed else None,
    )
