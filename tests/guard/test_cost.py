"""No request gets dearer unnoticed: its machine instructions against the stored ones.

Instructions are counted, and told in those of an aiohttp handler that returns a constant, so that neither a busy
machine nor another build of Python makes a difference. Where the change is meant: `python -m bench.cost --store`.
"""

from __future__ import annotations

import json
import os

import pytest

from bench import cost
from bench.callgrind import missing

MOST = 1.15
"""Counts of the same code differ by 2 %."""


def test_no_request_takes_more_instructions_than_it_did() -> None:
    if told := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    stored = json.loads(cost.STORED.read_text(encoding="utf-8"))
    instructions = cost.measure()
    found = cost.in_hellos(instructions)
    assert set(found) == set(stored)
    for request, hellos in found.items():
        assert hellos <= MOST * stored[request], (
            f"{request} takes {hellos} hellos ({instructions[request]:,.0f} instructions); it took {stored[request]}. "
            "python -m bench.cost tells it again, python -m bench.cost --store makes it the figure to compare with"
        )
