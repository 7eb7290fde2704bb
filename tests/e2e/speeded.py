"""The local cloud and the signer as processes whose clock runs faster than ours, by Debian's `faketime`.

libfaketime is loaded into each process. It speeds up the wall clock and the monotonic one, sleeps, and the timeouts of
epoll, so uvloop and asyncio follow; it does not follow sem_clockwait, so a `threading` wait with a timeout never ends
early. All processes of one `Clock` share one start in shared memory, so their clocks are equal at any moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.running import ROOT, START_SECONDS, Cloud, Signer, signer

_ENVIRON = {
    # Every process keeps to the shared start instead of starting anew.
    "FAKETIME_DONT_RESET": "1",
    # Files keep their real times, or Python would take every compiled file for a stale one.
    "NO_FAKE_STAT": "1",
}
_HOLDER = 'echo "$LD_PRELOAD"; echo "$FAKETIME"; echo "$FAKETIME_SHARED"; date +%s.%N; exec cat'
"""Prints what others need to join its clock and the time there; then holds the shared memory until its stdin ends."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock that runs `speed` times as fast as ours since it was made."""

    speed: int
    environ: dict[str, str]
    """What makes a process live by this clock."""
    start: float

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.start + (time.time() - self.start) * self.speed, UTC)

    async def sleep(self, seconds: float) -> None:
        """Lets so many seconds of this clock go by."""
        await asyncio.sleep(seconds / self.speed)


@contextlib.asynccontextmanager
async def speeded_clock(speed: int) -> AsyncIterator[Clock]:
    """Skips the test where `faketime` is not installed, and fails it in CI."""
    if shutil.which("faketime") is None:
        why = "not installed: faketime"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    holder = await asyncio.create_subprocess_exec(
        *("faketime", "-m", "-f", f"+0 x{speed}", "sh", "-c", _HOLDER),
        env={**os.environ, **_ENVIRON},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            library, setting, shared, fast = [(await holder.stdout.readline()).decode().strip() for _ in range(4)]
        # `fast` is start + (ours - start) * speed.
        start = (speed * time.time() - float(fast)) / (speed - 1)
        environ = {**_ENVIRON, "LD_PRELOAD": library, "FAKETIME": setting, "FAKETIME_SHARED": shared}
        yield Clock(speed, environ, start)
    finally:
        holder.stdin.close()
        await holder.wait()


@contextlib.asynccontextmanager
async def speeded_cloud(session: aiohttp.ClientSession, clock: Clock, *arguments: str) -> AsyncIterator[Cloud]:
    """As `local_cloud`, by that clock."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "localcloud", *arguments),
        cwd=ROOT,
        env={**os.environ, **clock.environ},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            addresses = json.loads(await process.stdout.readline())
        yield Cloud(addresses["metadata"], addresses["sts"], addresses["oss"], session, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def speeded_signer(session: aiohttp.ClientSession, config: Path, clock: Clock) -> AsyncIterator[Signer]:
    """As `signer`, by that clock."""
    async with signer(session, config, environ=clock.environ) as running:
        yield running
