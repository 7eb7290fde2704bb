"""What a step reports about one subject: the result and how to fix it. No text holds a secret."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

STEPS = (
    *("definitions", "files", "listen", "metadata", "clock", "credential", "bucket", "cors", "domain", "certificate"),
    *("write", "wechat", "callback keys", "redis"),
)
"""All steps, in the order of the report."""


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step found out about one subject, such as a role, a bucket or an address."""

    step: str
    subject: str
    verdict: Verdict
    what: str
    fix: str = ""
    apps: tuple[str, ...] = ()
    """The ids of the apps whose uploads are affected. Empty: all apps, or only this machine."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that a step checks; it makes the findings about it."""

    step: str
    name: str
    apps: tuple[str, ...] = ()

    def ok(self, what: str) -> Finding:
        return self._finding(Verdict.OK, what)

    def warning(self, what: str, fix: str) -> Finding:
        return self._finding(Verdict.WARNING, what, fix)

    def failed(self, what: str, fix: str) -> Finding:
        return self._finding(Verdict.FAILED, what, fix)

    def not_checked(self, reason: str, fix: str = "") -> Finding:
        return self._finding(Verdict.NOT_CHECKED, reason, fix)

    def _finding(self, verdict: Verdict, what: str, fix: str = "") -> Finding:
        return Finding(self.step, self.name, verdict, what, fix, self.apps)


def sort_findings(findings: list[Finding]) -> list[Finding]:
    """Return the findings in the order of their steps."""
    return sorted(findings, key=lambda finding: STEPS.index(finding.step))
