"""The number of machine instructions of a request does not grow unnoticed.

Counts are divided by those of an aiohttp handler that returns a constant, so they compare between builds of Python.
"""

from __future__ import annotations

import json
import os
import platform
import sys

import pytest

from bench import cost
from bench.callgrind import missing_program

STORED_FOR = "3.11.7"
LIMIT, LIMIT_OF_OTHERS = 1.05, 1.10
"""Counts of the same code and Python differ by less than 1 %, on an idle and on a busy machine. Between builds of
Python 3.11, with and without profile-guided optimization, they differ by up to 7 %."""


def test_no_request_takes_more_instructions_than_stored() -> None:
    if missing := missing_program():
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    if (version := list(sys.version_info[:2])) != [3, 11]:
        pytest.skip(f"the costs are stored for Python 3.11, not {version}: they differ between versions of Python")
    limit = LIMIT if platform.python_version() == STORED_FOR else LIMIT_OF_OTHERS
    stored = json.loads(cost.STORED.read_text(encoding="utf-8"))
    instructions = cost.measure()
    measured = cost.in_hellos(instructions)
    assert set(measured) == set(stored)
    for request, hellos in measured.items():
        assert hellos <= limit * stored[request], (
            f"{request}: {hellos} hellos ({instructions[request]:,.0f} instructions) instead of {stored[request]}. "
            "Run python -m bench.cost to measure again; if the change is intended, run python -m bench.cost --store"
        )
