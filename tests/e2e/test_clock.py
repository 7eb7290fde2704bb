"""A wrong clock: recognized by responses of STS and the metadata service, shown by /readyz, the log and a metric."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud
from tests.harness.signer import signer
from tests.harness.waiting import wait_until

CONFIG = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  r: {{type: {kind}, endpoint: "{endpoint}"}}
apps: {{a: {{key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}}}}
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
        readyz_status, body = await running.readiness()
        assert (readyz_status, body["clock"]["state"]) == (status, state), body
        assert body["clock"]["skew_seconds"] == pytest.approx(-offset_seconds, abs=20)
        assert await running.metric("clock_skew_seconds") == pytest.approx(-offset_seconds, abs=20)
        lines = [json.loads(line) for line in running.output]
        clock_lines = [line for line in lines if line["logger"] == "oss_signer.clock"]
        assert [line["level"] for line in clock_lines] == ([] if level is None else [level])
        assert all("chrony" in line["fix"] for line in clock_lines)


async def test_a_rejected_call_shows_the_clock_too(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """STS rejects calls that are off by 15 minutes or more, and the rejection shows its clock."""
    await cloud.set_faults(sts={"kind": "clock", "offset_seconds": 1800})
    config = tmp_path / "signer.yaml"
    config.write_text(CONFIG.format(kind="assume_role", endpoint=cloud.sts), encoding="utf-8")
    async with signer(session, config) as running:
        readyz_status, body = await running.readiness()
        assert (readyz_status, body["clock"]["state"]) == (503, "wrong")
        assert "InvalidTimeStamp" in body["roles"][0]["last_error"]
        await cloud.set_faults()
        await wait_until(running.is_ready)
