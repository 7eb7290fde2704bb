"""The report of `doctor`, as text and as JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from signer.definitions.quantities import format_count
from signer.doctor.findings import STEPS, Finding, Verdict

_MAX_APPS_NAMED = 3
_MAX_LINES = {Verdict.OK: 10, Verdict.WARNING: 50, Verdict.FAILED: 200, Verdict.NOT_CHECKED: 10}
"""Of one step in the text report: there may be ten thousand prefixes."""
_VERDICT_WIDTH = len(Verdict.NOT_CHECKED)
_STEP_WIDTH = max(map(len, STEPS))


def as_text(findings: Sequence[Finding]) -> str:
    """Return a line for each finding, the fix on the next line, and a last line with the counts."""
    seen: Counter[tuple[str, Verdict]] = Counter()
    lines: list[str] = []
    for finding in findings:
        seen[finding.step, finding.verdict] += 1
        if seen[finding.step, finding.verdict] <= _MAX_LINES[finding.verdict]:
            lines += _lines(finding)
    for (step, verdict), number in seen.items():
        if number > _MAX_LINES[verdict]:
            more = number - _MAX_LINES[verdict]
            lines.append(f"{verdict:<{_VERDICT_WIDTH}}  {step:<{_STEP_WIDTH}}  and {more:,} more; --json lists all")
    counts = ", ".join(f"{number:,} {verdict}" for verdict, number in _counts(findings).items() if number)
    return "\n".join([*lines, counts]) + "\n"


def as_json(findings: Sequence[Finding]) -> str:
    """Return `{"ok", "counts", "findings"}` as JSON."""
    listed = [asdict(finding) for finding in findings]
    document = {"ok": not any_failed(findings), "counts": _counts(findings), "findings": listed}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def any_failed(findings: Sequence[Finding]) -> bool:
    return any(finding.verdict is Verdict.FAILED for finding in findings)


def _lines(finding: Finding) -> list[str]:
    mark = finding.verdict.upper() if finding.verdict is Verdict.FAILED else str(finding.verdict)
    subject = f"{finding.subject}: " if finding.subject else ""
    head = f"{mark:<{_VERDICT_WIDTH}}  {finding.step:<{_STEP_WIDTH}}  {subject}{finding.what}{_apps(finding)}"
    if not finding.fix:
        return [head]
    indent = " " * (_VERDICT_WIDTH + _STEP_WIDTH + 4)
    return [head, *(f"{indent}{line}" for line in f"fix: {finding.fix}".splitlines())]


def _apps(finding: Finding) -> str:
    if finding.verdict in (Verdict.OK, Verdict.NOT_CHECKED) or not finding.apps:
        return ""
    named = ", ".join(finding.apps[:_MAX_APPS_NAMED])
    more = len(finding.apps) - _MAX_APPS_NAMED
    return f" ({named} and {format_count(more, 'more app')})" if more > 0 else f" ({named})"


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    counts = Counter(finding.verdict for finding in findings)
    return {str(verdict): counts[verdict] for verdict in Verdict}
