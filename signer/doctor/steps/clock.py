"""Step `clock`: this machine's clock against the clocks of the servers that check our signatures."""

from signer.credentials.clock_skew import WARNING_SKEW, ClockSkew, ClockState
from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import HttpProbe
from signer.doctor.remedies import CHRONY


def check_clocks(http: HttpProbe) -> list[Finding]:
    """Return a finding for each server that has responded. The service uses the same thresholds."""
    return [_finding(server, skew) for server, skew in sorted(http.clocks.items())]


def is_clock_wrong(http: HttpProbe) -> bool:
    """Return whether OSS would reject what is signed now."""
    return any(skew.state() is ClockState.WRONG for skew in http.clocks.values())


def _finding(server: str, skew: ClockSkew) -> Finding:
    subject, seconds = Subject("clock", server), skew.seconds()
    if skew.state() is ClockState.GOOD:
        return subject.ok(f"the clocks agree within {max(abs(seconds), 1):.0f} s")
    what = f"this machine's clock is {abs(seconds):.0f} s {'fast' if seconds > 0 else 'slow'}"
    if skew.state() is ClockState.WRONG:
        return subject.failed(f"{what}; OSS rejects signatures that are 15 minutes off", CHRONY)
    return subject.warning(f"{what}; more than {WARNING_SKEW.total_seconds() / 60:.0f} minutes is too much", CHRONY)
