"""The first `make` of a checkout: a Python that does not suit is named, with what to run instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.processes import ROOT, run

NO_PIP = """#!/bin/sh
[ "$1" != -c ] || exit 0
mkdir -p .venv/bin
touch .venv/bin/python
echo ensurepip is not available >&2
exit 1
"""


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("is_installed", [True, False])
async def test_an_unsuitable_python_is_named(tmp_path: Path, is_installed: bool) -> None:
    python = program(tmp_path / "old", "#!/bin/sh\nexit 1\n") if is_installed else tmp_path / "none"
    made = await run("make", "-f", str(ROOT / "Makefile"), ".venv/bin/python", f"PYTHON={python}", cwd=tmp_path)
    assert made.status != 0
    assert f"{python} is missing or older than 3.11; run make .venv/bin/python PYTHON=python3.11" in made.err
    assert not (tmp_path / ".venv").exists()


async def test_an_incomplete_environment_is_made_again(tmp_path: Path) -> None:
    python = program(tmp_path / "python", NO_PIP)
    for _ in range(2):
        made = await run("make", "-f", str(ROOT / "Makefile"), ".venv/bin/python", f"PYTHON={python}", cwd=tmp_path)
        assert made.status != 0
        assert "ensurepip is not available" in made.err
