"""What an operator should look at: roles, clock, definitions, certificate, callbacks, logs, failed requests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from signer.admin.status.snapshot import StatusSnapshot
from signer.credentials.clock_skew import ClockState
from signer.credentials.refresh_windows import TokenState
from signer.credentials.role import RoleState
from signer.definitions.quantities import format_count

_RENEW_BEFORE = timedelta(days=7)
_RECENT_POINTS = 10
"""Five minutes."""
_MAX_ROLES_NAMED = 5
_BLOCKED_SECONDS = 5.0
"""A slow disk may take some seconds for a write."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition that an operator should look at."""

    text: str
    is_severe: bool
    """Whether uploads fail, or will fail soon."""


def find_alerts(snapshot: StatusSnapshot) -> list[Alert]:
    """Return the alerts of a snapshot, in the order of the page."""
    kinds = (
        _role_alerts,
        _clock_alerts,
        _reload_alerts,
        _certificate_alerts,
        _callback_alerts,
        _limit_alerts,
        _log_alerts,
        _request_alerts,
    )
    return [alert for find in kinds for alert in find(snapshot)]


def _role_alerts(snapshot: StatusSnapshot) -> Iterator[Alert]:
    if unusable := [role for role in snapshot.roles if not role.is_usable and not role.is_pending]:
        apps = sum(snapshot.apps_of_role.get(role.role, 0) for role in unusable)
        yield Alert(f"{_names(unusable)}: no usable token; {apps} app{'' if apps == 1 else 's'} cannot sign", True)
    if short := [role for role in snapshot.roles if role.token_state is TokenState.SHORT]:
        yield Alert(f"{_names(short)}: the token is too short for its apps", True)
    if failing := [role for role in snapshot.roles if role.is_usable and role.last_error]:
        yield Alert(f"{_names(failing)}: the last refresh failed", False)


def _names(roles: Sequence[RoleState]) -> str:
    more = len(roles) - _MAX_ROLES_NAMED
    names = ", ".join(role.role for role in roles[:_MAX_ROLES_NAMED])
    return f"{names} and {more} more" if more > 0 else names


def _clock_alerts(snapshot: StatusSnapshot) -> Iterator[Alert]:
    if snapshot.clock is not ClockState.GOOD:
        seconds = snapshot.clock_skew_seconds
        direction = "fast" if seconds > 0 else "slow"
        yield Alert(
            f"this machine's clock is {abs(seconds):.0f} s {direction}; OSS rejects forms that are 15 minutes off",
            snapshot.clock is ClockState.WRONG,
        )


def _reload_alerts(snapshot: StatusSnapshot) -> Iterator[Alert]:
    result = snapshot.last_reload
    if not result.succeeded:
        yield Alert(f"the last edit of the definitions is not active{_retrying(result.is_retrying)}", False)
    if result.needs_restart:
        yield Alert(f"changed settings that need a restart: {', '.join(result.needs_restart)}", False)


def _retrying(is_retrying: bool) -> str:
    return "; each poll tries again" if is_retrying else ""


def _certificate_alerts(snapshot: StatusSnapshot) -> Iterator[Alert]:
    certificate = snapshot.certificate
    if certificate is None:
        return
    if certificate.error is not None:
        text = f"the renewed certificate is not active: {certificate.error}{_retrying(certificate.is_retrying)}"
        yield Alert(text, False)
    remaining = certificate.expires_at - snapshot.at
    if remaining < _RENEW_BEFORE:
        verb = "expired" if remaining < timedelta() else "expires"
        text = f"the certificate {verb} at {certificate.expires_at:%Y-%m-%d %H:%M} UTC; renew it"
        yield Alert(text, remaining < timedelta())


def _callback_alerts(snapshot: StatusSnapshot) -> Iterator[Alert]:
    if snapshot.queue_error is not None:
        yield Alert(f"the callback queue is unavailable: {snapshot.queue_error}", True)
    for path in snapshot.corrupt_queue_files:
        yield Alert(f"the callback queue was corrupt and was moved to {path}; check the disk, then delete it", True)
    if snapshot.dead_letters:
        number = format_count(snapshot.dead_letters, "callback")
        yield Alert(f"{number} could not be delivered; see oss-signer events list", False)


def _limit_alerts(snapshot: StatusSnapshot) -> Iterator[Alert]:
    if snapshot.limits_error is not None:
        text = f"the Redis of limits is unavailable: {snapshot.limits_error}; each signer counts alone, or rejects"
        yield Alert(text, False)


def _log_alerts(snapshot: StatusSnapshot) -> Iterator[Alert]:
    for log in snapshot.logs:
        if log.blocked_seconds > _BLOCKED_SECONDS:
            name = "the audit log" if log.sink == "audit" else "the log"
            yield Alert(f"{name}: no line could be written for {log.blocked_seconds:.0f} s", False)


def _request_alerts(snapshot: StatusSnapshot) -> Iterator[Alert]:
    recent = snapshot.points[-_RECENT_POINTS:]
    if any(point is not None and point.failed_per_second > 0 for point in recent):
        yield Alert("requests failed because of this signer in the last five minutes", True)
