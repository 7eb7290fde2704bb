"""The log lines of token refreshes."""

from __future__ import annotations

import logging
from datetime import datetime

from signer.credentials.role_state import RefreshAttempt
from signer.credentials.sources.credential_source import FetchFailed

log = logging.getLogger("oss_signer.credentials")


def log_refreshed(
    attempt: RefreshAttempt, *, expires_at: datetime | None, is_new: bool, next_in_seconds: float
) -> None:
    """Log a successful attempt; only on debug level if the source returned the current token again."""
    log.log(
        logging.INFO if is_new else logging.DEBUG,
        "credential refreshed",
        extra=_fields(attempt) | {"expires_at": expires_at, "next_in_seconds": round(next_in_seconds, 1)},
    )


def log_refresh_failed(
    attempt: RefreshAttempt,
    error: FetchFailed,
    *,
    failures: int,
    circuit_open: bool,
    retry_in_seconds: float,
    has_token: bool,
    token_expires_at: datetime | None,
) -> None:
    """Log a failed attempt; as an error if an operator has to act or the role has no usable token."""
    log.log(
        logging.ERROR if error.needs_operator or not has_token else logging.WARNING,
        "credential refresh failed",
        extra=_fields(attempt)
        | {
            "error": str(error),
            "failures": failures,
            "circuit_open": circuit_open,
            "retry_in_seconds": round(retry_in_seconds, 1),
            "token_in_use_until": token_expires_at,
        },
    )


def _fields(attempt: RefreshAttempt) -> dict[str, object]:
    return {"role": attempt.role, "reason": attempt.reason, "seconds": round(attempt.seconds, 3)}
