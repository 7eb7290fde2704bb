"""What `doctor` found, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from signer.definitions.quantities import format_count
from signer.doctor.findings import STEPS, Finding, Verdict

_APPS_NAMED = 3
_SHOWN = {Verdict.OK: 10, Verdict.WARNING: 50, Verdict.FAILED: 200, Verdict.NOT_CHECKED: 10}
"""To people, of one step; ten thousand prefixes may all be well."""
_WIDTH = len(Verdict.NOT_CHECKED)
_STEP_WIDTH = max(map(len, STEPS))


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each, how to mend it in the next, and a last line that counts them."""
    shown: Counter[tuple[str, Verdict]] = Counter()
    lines: list[str] = []
    for each in findings:
        shown[each.step, each.verdict] += 1
        if shown[each.step, each.verdict] <= _SHOWN[each.verdict]:
            lines += _lines(each)
    for (step, verdict), number in shown.items():
        if number > _SHOWN[verdict]:
            more = number - _SHOWN[verdict]
            lines.append(f"{verdict:<{_WIDTH}}  {step:<{_STEP_WIDTH}}  and {more:,} more; --json tells all")
    counts = _counts(findings)
    told = ", ".join(f"{number:,} {verdict}" for verdict, number in counts.items() if number)
    return "\n".join([*lines, told]) + "\n"


def as_json(findings: Sequence[Finding]) -> str:
    document = {
        "ok": not any_failed(findings),
        "counts": _counts(findings),
        "findings": [each.members() for each in findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def any_failed(findings: Sequence[Finding]) -> bool:
    return any(each.verdict is Verdict.FAILED for each in findings)


def _lines(finding: Finding) -> list[str]:
    mark = finding.verdict.upper() if finding.verdict is Verdict.FAILED else str(finding.verdict)
    subject = f"{finding.subject}: " if finding.subject else ""
    head = f"{mark:<{_WIDTH}}  {finding.step:<{_STEP_WIDTH}}  {subject}{finding.what}{_whose(finding)}"
    if not finding.mend:
        return [head]
    indent = " " * (_WIDTH + _STEP_WIDTH + 4)
    return [head, *(f"{indent}{line}" for line in f"mend: {finding.mend}".splitlines())]


def _whose(finding: Finding) -> str:
    if finding.verdict in (Verdict.OK, Verdict.NOT_CHECKED) or not finding.apps:
        return ""
    more = len(finding.apps) - _APPS_NAMED
    named = ", ".join(finding.apps[:_APPS_NAMED])
    return f" ({named} and {format_count(more, 'more app')})" if more > 0 else f" ({named})"


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    found = Counter(str(each.verdict) for each in findings)
    return {str(verdict): found[verdict] for verdict in Verdict}
