"""What a step reports about one subject: the result and how to fix it. No text holds a secret."""

from dataclasses import dataclass
from enum import StrEnum

STEPS = (
    *("definitions", "files", "listen", "metadata", "clock", "credential", "bucket", "cors", "domain", "certificate"),
    *("multipart", "lifecycle", "objects", "write", "wechat", "callback keys", "redis"),
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
        return Finding(self.step, self.name, Verdict.OK, what, apps=self.apps)

    def warning(self, what: str, fix: str) -> Finding:
        return Finding(self.step, self.name, Verdict.WARNING, what, fix, self.apps)

    def failed(self, what: str, fix: str) -> Finding:
        return Finding(self.step, self.name, Verdict.FAILED, what, fix, self.apps)

    def not_checked(self, reason: str, fix: str = "") -> Finding:
        return Finding(self.step, self.name, Verdict.NOT_CHECKED, reason, fix, self.apps)
