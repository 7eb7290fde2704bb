"""DNS does not respond to the names of some notify targets, issuers and STS endpoints: all other services go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.dns_server import run_with_dns

pytestmark = pytest.mark.slow

LOOKUPS_HANG = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n"


async def test_names_without_a_response_delay_no_other_name(tmp_path: Path) -> None:
    completed = await run_with_dns(
        "tests.faults.services_with_dead_names", tmp_path, directory=tmp_path, resolv_conf=LOOKUPS_HANG
    )
    assert completed.status == 0, completed.err
    assert json.loads(completed.out) == {
        "upload of one": 200,
        "upload of two": 200,
        "WeChat login": 201,
        "JWT login": 201,
        "dead JWT login": 503,
        "limits in Redis": 201,
    }
