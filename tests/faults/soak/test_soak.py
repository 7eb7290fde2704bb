"""Everything that can break breaks, in random order and at the same time: apps whose own parts are healthy notice nothing.

SOAK_SECONDS and SOAK_SEED choose the duration and the sequence, which `pytest -s` prints.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.faults.soak.disturbances import DISTURBANCES, Disturbance
from tests.faults.soak.world import APPS, World, world
from tests.harness.process_usage import ProcessUsage
from tests.harness.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("SOAK_SECONDS" not in os.environ, reason="make soak runs it, with SOAK_SECONDS"),
]

AT_ONCE = 5
"""How many disturbances happen at the same time."""
MAX_FURTHER_SECONDS = 20.0
"""How much longer than its minimum a disturbance lasts in a soak of ten minutes."""
LONG_SOAK_SECONDS = 600.0
MEASURING_SECONDS = 10.0
MAX_MEMORY_GROWTH_BYTES = 16 * 2**20
MAX_NEW_FILES = 8

Report = Callable[[str], None]


async def test_apps_whose_own_parts_are_healthy_notice_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(10**6))
    seconds = float(os.environ["SOAK_SECONDS"])
    started = time.monotonic()

    def report(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} {text}", flush=True)

    report(f"SOAK_SEED={seed} SOAK_SECONDS={seconds:g}")
    async with world(tmp_path) as its:
        soak = Soak(its, random.Random(seed), report, MAX_FURTHER_SECONDS * min(seconds / LONG_SOAK_SECONDS, 1))
        async with its.audit.rotated(), its.load.running(APPS), soak.measured():
            # The first quarter has each disturbance once, so that later ones use nothing for the first time.
            await soak.disturb(seconds / 4)
            before = await soak.usage()
            await soak.disturb(seconds * 3 / 4, each_once=False)
            await soak.usage(before)
        report(f"{dict(its.load.counts)}, slowest: {dict(its.load.slowest_seconds)} s")
        assert await its.running.stop() == 0
        its.audit.count_last()
        report(f"stopped; {its.audit.signatures} signatures in the audit log")
        assert its.audit.signatures >= its.load.signatures
        assert its.load.events_out_of_order() == []
        its.load.check()


class Soak:
    """Disturbs a world."""

    def __init__(self, its: World, rng: random.Random, report: Report, max_further_seconds: float) -> None:
        self._world, self._rng, self._report = its, rng, report
        self._max_further_seconds = max_further_seconds
        self._locks = {each.name: asyncio.Lock() for each in DISTURBANCES}

    async def disturb(self, seconds: float, *, each_once: bool = True) -> None:
        """Start disturbances for so long, then undo all of them; with `each_once`, none is left out."""
        end = time.monotonic() + seconds
        first = deque(self._shuffled() if each_once else ())
        deck: deque[Disturbance] = deque()

        def draw() -> Disturbance | None:
            if first:
                return first.popleft()
            deck.extend(() if deck else self._shuffled())
            remaining_seconds = end - time.monotonic()
            while deck and deck[0].min_seconds > remaining_seconds > 0:
                deck.popleft()
            return deck.popleft() if deck and remaining_seconds > 0 else None

        async def keep_disturbing() -> None:
            while (disturbance := draw()) is not None:
                async with self._locks[disturbance.name]:
                    await self._hold(disturbance)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(keep_disturbing())

    @contextlib.asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Report the resources of the signer again and again until the end of the block."""

        async def keep_measuring() -> None:
            while True:
                self._report(f"{ProcessUsage.of(self._world.running.process.pid)}")
                await asyncio.sleep(MEASURING_SECONDS)

        measuring = asyncio.create_task(keep_measuring())
        try:
            yield
        finally:
            measuring.cancel()

    def _shuffled(self) -> list[Disturbance]:
        return self._rng.sample(DISTURBANCES, len(DISTURBANCES))

    async def _hold(self, disturbance: Disturbance) -> None:
        seconds = disturbance.min_seconds + self._rng.uniform(0, self._max_further_seconds)
        own_rng = random.Random(self._rng.random())
        self._report(f"{disturbance.name} begins")
        async with disturbance.start(self._world, own_rng):
            await asyncio.sleep(seconds)
            self._report(f"{disturbance.name} lasted {seconds:.0f} s")
        self._report(f"{disturbance.name} is undone")
        self._world.load.check()

    async def usage(self, before: ProcessUsage | None = None) -> ProcessUsage:
        """Wait until all events are delivered, and return the resources of the signer, which are as `before`."""
        await wait_until(lambda: not self._world.load.missing_events())
        pid = self._world.running.process.pid
        if before is not None:
            bound = before.files + MAX_NEW_FILES
            with contextlib.suppress(TimeoutError):
                await wait_until(lambda: ProcessUsage.of(pid).files <= bound)
        usage = ProcessUsage.of(pid)
        self._report(f"all events are delivered; {usage}")
        if before is not None:
            assert usage.files <= before.files + MAX_NEW_FILES
            assert usage.memory_bytes <= before.memory_bytes + MAX_MEMORY_GROWTH_BYTES
        return usage
