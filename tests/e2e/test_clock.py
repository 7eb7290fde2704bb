"""A clock that is off: seen in the responses of STS and the metadata service, told by /readyz, the log and a metric."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud
from tests.harness.signer import signer

CONFIG = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  r: {{type: {kind}, endpoint: "{endpoint}"}}
apps: {{a: {{bucket: photos, region: cn-hangzhou, credentials: r}}}}
"""


@pytest.mark.parametrize("server", ["sts", "metadata"])
@pytest.mark.parametrize(
    ("offset_seconds", "state", "status", "level"),
    [(0, "good", 200, None), (-360, "off", 200, "warning"), (870, "wrong", 503, "error")],
)
async def test_the_clock_is_compared_with_the_dates_of_responds(
    server: str,
    offset_seconds: int,
    state: str,
    status: int,
    level: str | None,
    cloud: Cloud,
    session: aiohttp.ClientSession,
    tmp_path: Path,
) -> None:
    await cloud.set_faults(**{server: {"kind": "clock", "offset_seconds": offset_seconds}})
    config = tmp_path / "signer.yaml"
    kind, endpoint = ("assume_role", cloud.sts) if server == "sts" else ("ecs_ram_role", cloud.metadata)
    config.write_text(CONFIG.format(kind=kind, endpoint=endpoint), encoding="utf-8")
    async with signer(session, config) as running:
        async with session.get(f"{running.admin}/readyz") as response:
            told = await response.json()
        assert (response.status, told["clock"]["state"]) == (status, state), told
        assert told["clock"]["skew_seconds"] == pytest.approx(-offset_seconds, abs=5)
        async with session.get(f"{running.admin}/metrics") as response:
            found = re.search(r"^oss_signer_clock_skew_seconds (\S+)$", await response.text(), re.MULTILINE)
        assert found is not None
        assert float(found[1]) == pytest.approx(-offset_seconds, abs=5)
        lines = [json.loads(line) for line in running.output]
        clock_lines = [line for line in lines if line["logger"] == "oss_signer.clock"]
        assert [line["level"] for line in clock_lines] == ([] if level is None else [level])
        assert all("chrony" in line["fix"] for line in clock_lines)


async def test_a_refusal_tells_the_clock_too(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """STS refuses calls that are 15 minutes off: no token at all, and it is the refusal that says why."""
    await cloud.set_faults(sts={"kind": "clock", "offset_seconds": 1800})
    config = tmp_path / "signer.yaml"
    config.write_text(CONFIG.format(kind="assume_role", endpoint=cloud.sts), encoding="utf-8")
    async with signer(session, config) as running:
        async with session.get(f"{running.admin}/readyz") as response:
            told = await response.json()
        assert (response.status, told["clock"]["state"]) == (503, "wrong")
        assert "InvalidTimeStamp" in told["roles"][0]["last_error"]
        await cloud.set_faults()
        async with asyncio.timeout(30):
            while True:
                async with session.get(f"{running.admin}/readyz") as response:
                    if response.status == 200:
                        break
                await asyncio.sleep(0.05)
