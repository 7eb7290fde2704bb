"""Step `clock`: our clock against those of the servers that judge what we sign."""

from __future__ import annotations

from signer.credentials.clock_skew import WARN, ClockSkew, ClockState
from signer.doctor.findings import About, Finding
from signer.doctor.http_probe import Asking
from signer.doctor.remedies import CHRONY


def clock(asking: Asking) -> list[Finding]:
    """One for each server that has answered; the thresholds are those of the service."""
    return [_finding(server, skew) for server, skew in sorted(asking.clocks.items())]


def wrong(asking: Asking) -> bool:
    """Whether what we sign now would be refused."""
    return any(skew.state() is ClockState.WRONG for skew in asking.clocks.values())


def _finding(server: str, skew: ClockSkew) -> Finding:
    about, seconds = About("clock", server), skew.seconds()
    if skew.state() is ClockState.GOOD:
        return about.ok(f"our clock agrees with it, within {max(abs(seconds), 1):.0f} s")
    what = f"our clock is {abs(seconds):.0f} s {'fast' if seconds > 0 else 'slow'} against it"
    if skew.state() is ClockState.WRONG:
        return about.failed(f"{what}; OSS refuses what is signed 15 minutes off", CHRONY)
    return about.warning(f"{what}; that is more than {WARN.total_seconds() / 60:.0f} minutes", CHRONY)
