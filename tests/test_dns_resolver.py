"""Names are resolved by the system's configuration, also after it has changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.dns_server import run_with_dns

RESOLV_CONF = "search svc.test\nnameserver 127.0.0.1\noptions timeout:30 attempts:5\n"


@pytest.mark.parametrize("event_loop", ["uvloop", "asyncio"])
async def test_names_are_resolved_as_the_system_does(event_loop: str, tmp_path: Path) -> None:
    completed = await run_with_dns("tests.resolve_names", event_loop, directory=tmp_path, resolv_conf=RESOLV_CONF)
    assert completed.status == 0, completed.err
    assert json.loads(completed.out) == {
        "www.alive.test": ["127.0.0.1"],
        "redis": ["192.0.2.1"],
        "v6.test": ["2001:db8::1"],
        "localhost": ["127.0.0.1", "::1"],
        "127.0.0.1": ["127.0.0.1"],
        "none.test": ["OSError"],
        "added": ["192.0.2.3"],
        "new.test": ["192.0.2.2"],
        "silent.dead.test": ["OSError"],
    }
    assert completed.err == ""
