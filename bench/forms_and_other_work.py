"""Measures whether other work of the signer delays forms: windows with and without that work take turns.

wrk requests forms at a steady rate in all windows. The signer has one core, and wrk has priority on the other one: the
local cloud and the client that sends the other work run while wrk waits, so that they do not delay what it measures.
Run as root on a machine that does other work: the signer and wrk then have real-time priority.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import aiohttp

from bench.bounds import Bound, as_json, bounds_table, compare
from bench.processes import LOAD_CORE, SERVER_CORE, Cloud, Signer, local_cloud, signer
from bench.results import write_result
from bench.tables import Table
from bench.wrk import Load, Target, check_wrk, wrk

WARM_UP_SECONDS = 3
_FORM = {"filename": "photo.jpg", "content_type": "image/jpeg", "size": 3_000_000}
_CONNECTIONS = 16

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Place:
    """A signer and a local cloud, and how the kernel schedules wrk."""

    cloud: Cloud
    signer: Signer
    wrk_policy: int

    async def create_bucket(self, session: aiohttp.ClientSession, name: str) -> None:
        """Create a bucket in the local cloud."""
        async with session.post(f"{self.cloud.oss}/-/buckets", json={"name": name, "region": "cn-hangzhou"}):
            pass

    async def request_forms(self, per_second: float, seconds: int) -> Load:
        """Request forms of the app `forms` for this time."""
        return await asyncio.to_thread(self._request_forms, per_second, seconds)

    def _request_forms(self, per_second: float, seconds: int) -> Load:
        _schedule(self.wrk_policy)  # wrk inherits it from this thread.
        target = Target(f"{self.signer.public}/v1/apps/forms/uploads", "POST", json.dumps(_FORM))
        pause = round(1000 * _CONNECTIONS / per_second)
        return wrk(target, seconds=seconds, connections=_CONNECTIONS, pause_milliseconds=pause)


@contextlib.contextmanager
def place(definitions: Callable[[Cloud], str]) -> Iterator[Place]:
    """Run a local cloud and a signer with these definitions.

    Raises:
        CannotMeasure: One of them did not start, or wrk is not installed.
    """
    check_wrk()
    with local_cloud() as cloud:
        measured, others = _choose_policies()
        _schedule(measured)
        with signer(definitions(cloud), core=SERVER_CORE) as running:
            os.sched_setaffinity(0, {LOAD_CORE})
            for pid in (0, cloud.pid):
                _schedule(others, pid)
            yield Place(cloud, running, measured)


def _choose_policies() -> tuple[int, int]:
    """Return how the kernel schedules what is measured, and what runs only while that waits."""
    try:
        _schedule(os.SCHED_RR)
    except PermissionError:
        return os.SCHED_OTHER, os.SCHED_IDLE
    return os.SCHED_RR, os.SCHED_OTHER


def _schedule(policy: int, pid: int = 0) -> None:
    """Set the policy of a process or of this thread (0). Later children inherit it.

    See: https://man7.org/linux/man-pages/man7/sched.7.html
    """
    os.sched_setscheduler(pid, policy, os.sched_param(1 if policy == os.SCHED_RR else 0))


async def send_at_rate(send: Callable[[], Coroutine[object, object, None]], rate: float, seconds: float) -> None:
    """Send requests at a fixed rate for this time, whether those before have ended or not."""
    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(send())


def latency_figures(alone: Sequence[Load], during: Sequence[Load]) -> Figures:
    """Return the medians of the windows without and with other work, and the median of their ratios."""
    figures = {"forms_per_second": median(load.requests_per_second for load in alone)}
    for kind, loads in (("alone", alone), ("during", during)):
        for percentile in (50, 99):
            figures[f"p{percentile}_{kind}_ms"] = median(load.milliseconds[percentile] for load in loads)
    figures["p99_ratio"] = median(
        busy.milliseconds[99] / quiet.milliseconds[99] for busy, quiet in zip(during, alone, strict=True)
    )
    return figures


def report(name: str, bounds: Sequence[Bound], figures: Figures) -> int:
    """Print and store the figures; return the exit status, 1 if a bound is not met."""
    rows = [(figure, f"{value:,.3f}") for figure, value in figures.items()]
    sys.stdout.write(Table((name.replace("_", " "), ""), rows).text())
    results = compare(bounds, figures)
    sys.stdout.write(bounds_table(results).text())
    write_result(name, {**figures, "bounds": as_json(bounds, figures)})
    return 0 if all(result.is_met for result in results) else 1
