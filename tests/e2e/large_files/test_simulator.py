"""A mini-program uploads a video of 300 MB over a network that resets each connection after 20 MB, delays data and stalls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.large_files.mini_program import last_report, phone_parameters
from tests.e2e.large_files.site import (
    MAX_MEMORY_BYTES,
    MAX_SENT_SHARE,
    MEGABYTE,
    RESET_AFTER_BYTES,
    Site,
    site,
    write_video,
)
from tests.harness.npm import install_packages
from tests.miniprogram_sample.simulated import HERE, node

pytestmark = pytest.mark.slow

SIZE_BYTES = 300 * MEGABYTE
VIDEO = "trip.mp4"


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Site]:
    await install_packages(HERE)
    async with site(tmp_path) as running:
        yield running


async def test_a_video_is_stored_once(running: Site, tmp_path: Path) -> None:
    digest = write_video(tmp_path / VIDEO, SIZE_BYTES)
    async with node("video_run.cjs", phone_parameters(running, tmp_path, VIDEO, "videos")) as script:
        report = await last_report(script)
    assert report["failed"] == [] and report["backwards"] == []
    assert await running.stored(VIDEO) == {report["uploaded"][0]["key"]: digest}
    network, share = running.network, running.network.received_bytes / SIZE_BYTES
    print(
        f"sent {share:.3f} of the file; {network.resets} resets, {network.stalls} stalls; {report['memoryBytes']} bytes"
    )
    assert network.resets >= SIZE_BYTES // RESET_AFTER_BYTES // 2 and network.stalls > 0
    assert share <= MAX_SENT_SHARE
    assert report["memoryBytes"] <= MAX_MEMORY_BYTES


async def test_as_a_form_it_never_completes(running: Site, tmp_path: Path) -> None:
    write_video(tmp_path / VIDEO, SIZE_BYTES)
    async with node("video_run.cjs", phone_parameters(running, tmp_path, VIDEO, "forms", retries=2)) as script:
        report = await last_report(script)
    assert report["uploaded"] == [] and [each["state"] for each in report["failed"]] == ["failed"]
    assert running.network.resets + running.network.stalls == 3
    assert await running.stored(VIDEO) == {}
