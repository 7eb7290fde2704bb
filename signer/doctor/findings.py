"""What a step found: how it stands with one thing, and how to mend it. No text of it ever holds a secret."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

STEPS = (
    "definitions",
    "files",
    "listen",
    "metadata",
    "clock",
    "credential",
    "bucket",
    "cors",
    "domain",
    "certificate",
    "write",
    "wechat",
    "callback keys",
    "redis",
)
"""In the order in which they are told."""


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is what was looked at: a role, a bucket, an address."""

    step: str
    subject: str
    verdict: Verdict
    what: str
    mend: str = ""
    apps: tuple[str, ...] = ()
    """The ids of those whose uploads it is about; none: all, or nothing but this machine."""

    def members(self) -> dict[str, object]:
        """For programs."""
        return {
            "step": self.step,
            "subject": self.subject,
            "verdict": str(self.verdict),
            "what": self.what,
            "mend": self.mend,
            "apps": list(self.apps),
        }


@dataclass(frozen=True, slots=True)
class About:
    """One thing that a step looks at, and words of it."""

    step: str
    subject: str
    apps: tuple[str, ...] = ()

    def ok(self, what: str) -> Finding:
        return self._finding(Verdict.OK, what)

    def warning(self, what: str, mend: str) -> Finding:
        return self._finding(Verdict.WARNING, what, mend)

    def failed(self, what: str, mend: str) -> Finding:
        return self._finding(Verdict.FAILED, what, mend)

    def not_checked(self, because: str, mend: str = "") -> Finding:
        return self._finding(Verdict.NOT_CHECKED, because, mend)

    def _finding(self, verdict: Verdict, what: str, mend: str = "") -> Finding:
        return Finding(self.step, self.subject, verdict, what, mend, self.apps)


def in_order(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda each: STEPS.index(each.step))
