"""tests/harness/ is the only place of the tests that launches processes and sleeps in a thread."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
INSTALLED = {".venv", "node_modules"}
ELSEWHERE_FORBIDDEN = re.compile(
    r"\b(create_subprocess_\w+|subprocess\.\w+|Popen|os\.(?:fork|spawn|popen)\w*|time\.sleep)\("
)


def test_only_the_harness_launches_processes_and_sleeps() -> None:
    files = [
        path
        for path in HERE.rglob("*.py")
        if path.relative_to(HERE).parts[0] != "harness" and not INSTALLED.intersection(path.parts)
    ]
    assert len(files) > 100
    found = [
        f"{path.relative_to(HERE)}:{number}: {match[0]}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in ELSEWHERE_FORBIDDEN.finditer(line)
    ]
    assert found == []
