"""A random sequence of faults: the signer survives it, and its memory, files, threads and secrets stay the same.

SOAK_SECONDS, of the machine's clock, and SOAK_SEED choose the duration and the sequence.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.soak.faulty_cloud import (
    BLOCKING,
    DEPENDENT_APPS,
    HARMLESS,
    LONGEST_LIFETIME,
    REVOKED,
    Fault,
    FaultyCloud,
    faulty_cloud,
)
from tests.harness.fast_clock import FastClock
from tests.harness.process_usage import ProcessUsage
from tests.harness.signer import LOCAL_ENVIRON
from tests.harness.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

MAX_MEMORY_GROWTH_BYTES = 8 * 2**20
MAX_NEW_FILES = 4
MAX_NEW_THREADS = 8
"""asyncio's pool for name look-ups grows up to a bound."""
LONG_TEXT = re.compile(r"[\w-]{43,}", re.ASCII)
"""A text as long as the shortest secret of a token, which no log message contains."""


def random_faults(rng: random.Random) -> dict[str, list[Fault]]:
    """Return faults for metadata and STS, for one of them, or for none; some by chance, some two at once."""
    if rng.random() < 0.1:
        return {rng.choice(list(DEPENDENT_APPS)): [REVOKED]}
    return {
        server: [
            {**fault, "probability": rng.choice([0.3, 1])}
            for fault in rng.sample([*BLOCKING, *HARMLESS], rng.choice([1, 1, 2]))
        ]
        for server in DEPENDENT_APPS
        if rng.random() < 0.6
    }


async def test_random_faults(clock: FastClock, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """The sequence is printed when the test fails, or by `pytest -rP`."""
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(10**6))
    end = time.monotonic() + float(os.environ.get("SOAK_SECONDS", "20"))
    history = [f"SOAK_SEED={seed}"]
    try:
        async with faulty_cloud(session, clock, tmp_path / "soak") as cloud:
            await _soak(cloud, random.Random(seed), end, history)
        processes = (cloud.signer.process, cloud.cloud.process)
        output = "".join(line for process in processes for line in process.output[1:] + process.errors)
        secrets = {LOCAL_ENVIRON["OSS_ACCESS_KEY_SECRET"], *cloud.load.security_tokens}
        assert not [secret for secret in secrets if secret in output]
        assert not LONG_TEXT.findall(output)
    finally:
        print(*history, sep="\n")


async def _soak(cloud: FaultyCloud, rng: random.Random, end: float, history: list[str]) -> None:
    load, clock, pid = cloud.load, cloud.clock, cloud.signer.process.pid
    for fault in BLOCKING:
        await load.set_faults(metadata=fault, sts=fault)
        async with load.running():
            await clock.sleep(5)
    await cloud.recover()
    before = ProcessUsage.of(pid)
    while time.monotonic() < end:
        faults = random_faults(rng)
        seconds = rng.uniform(5, 90)
        history.append(f"{clock.now():%H:%M:%S} for {seconds:.0f} s: {faults or 'no fault'}")
        load.counts.clear()
        if [REVOKED] in faults.values():
            await load.revoke_tokens(next(iter(faults)), LONGEST_LIFETIME)
        else:
            await load.set_faults(**faults)
        async with load.running():
            await clock.sleep(seconds)
        history.append(f"  {dict(load.counts)}")
        assert not load.violations, (len(load.violations), load.violations[:10])
    history.append(f"{clock.now():%H:%M:%S} faults ended")
    await cloud.recover()
    history.append(f"  {dict(load.counts)}")
    with contextlib.suppress(TimeoutError):
        await wait_until(lambda: ProcessUsage.of(pid).files <= before.files + MAX_NEW_FILES)
    after = ProcessUsage.of(pid)
    history.append(f"{before} -> {after}")
    assert after.files <= before.files + MAX_NEW_FILES
    assert after.threads <= before.threads + MAX_NEW_THREADS
    assert after.memory_bytes <= before.memory_bytes + MAX_MEMORY_GROWTH_BYTES
