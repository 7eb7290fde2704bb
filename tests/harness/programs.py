"""Finds the programs that tests need: a missing one skips the test on a laptop and fails it in CI."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def require_program(name: str) -> str:
    """Return the path of an installed program."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        unavailable(f"not installed: {name}")
    return found


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI, where everything has to be available."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
