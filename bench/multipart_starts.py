"""Do multipart uploads cost memory, or delay forms? `python -m bench.multipart_starts`

wrk requests forms at a steady rate, in windows with and without starts of multipart uploads at the same time, in turn.
Each start is a call of the signer to the local cloud. The signer has one core, and wrk goes first on the other one: the
local cloud and the client that starts uploads run while wrk waits, so that they do not delay what it measures. Run it
as root on a machine that does other work: signer and wrk then have real-time priority. Reported are the p99 of the
forms and how much the signer's memory grows in both kinds of windows, after a quarter of them as warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from statistics import median

import aiohttp

from bench.bounds import Bound, as_json, bounds_table, compare
from bench.errors import CannotMeasure
from bench.process_usage import memory_mib
from bench.processes import LOAD_CORE, SERVER_CORE, Cloud, Signer, local_cloud, signer
from bench.results import write_result
from bench.tables import Table
from bench.wrk import Load, Target, check_wrk, wrk

_DEFINITIONS = """\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", secret: {secret}}}
credentials: {{instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}
defaults: {{region: cn-hangzhou, bucket: videos, domain: "{cloud.oss}/videos", credentials: instance}}
apps:
  forms: {{key_prefix: f/, key: uuid, max_size: 1GiB}}
  videos: {{key_prefix: v/, multipart: {{}}}}
"""
_BODY = {"filename": "trip.mp4", "content_type": "video/mp4", "size": 200_000_000}
_WARM_UP_SECONDS = 3
_BURST = 300
"""Starts at the same time during the warm-up. On a busy machine starts pile up, which needs memory once, not again."""
_FORM = {"filename": "photo.jpg", "content_type": "image/jpeg", "size": 3_000_000}
_CONNECTIONS = 16

BOUNDS = (
    Bound("p99 of forms beside starts, relative", lambda figures: figures["p99_ratio"], max_value=1.1),
    Bound("growth of memory by starts, %", lambda figures: figures["growth_by_starts_percent"], max_value=1),
    Bound("failed requests", lambda figures: figures["failed"], max_value=0),
)

Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 if a bound is not met."""
    parser = argparse.ArgumentParser(prog="python -m bench.multipart_starts", description=__doc__)
    parser.add_argument("--starts", type=int, default=10_000, help="in all; default: 10,000")
    parser.add_argument("--rate", type=float, default=50.0, help="starts per second; default: 50")
    parser.add_argument("--forms", type=float, default=500.0, help="forms per second; default: 500")
    parser.add_argument("--windows", type=int, default=10, help="of each kind; default: 10")
    options = parser.parse_args(arguments)
    try:
        check_wrk()
        with local_cloud() as cloud:
            measured, others = choose_policies()
            schedule(measured)
            with signer(_DEFINITIONS.format(cloud=cloud, secret="s" * 32), core=SERVER_CORE) as running:
                os.sched_setaffinity(0, {LOAD_CORE})
                for pid in (0, cloud.pid):
                    schedule(others, pid)
                figures = asyncio.run(measure(cloud, running, measured, options))
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    rows = [(name, f"{figure:,.3f}") for name, figure in figures.items()]
    sys.stdout.write(Table(("multipart starts", ""), rows).text())
    results = compare(BOUNDS, figures)
    sys.stdout.write(bounds_table(results).text())
    write_result("multipart_starts", {**figures, "bounds": as_json(BOUNDS, figures)})
    return 0 if all(result.is_met for result in results) else 1


def choose_policies() -> tuple[int, int]:
    """Return how the kernel schedules what is measured, and what runs only while that waits."""
    try:
        schedule(os.SCHED_RR)
    except PermissionError:
        return os.SCHED_OTHER, os.SCHED_IDLE
    return os.SCHED_RR, os.SCHED_OTHER


def schedule(policy: int, pid: int = 0) -> None:
    """Set the policy of a process or of this thread (0). Later children inherit it.

    See: https://man7.org/linux/man-pages/man7/sched.7.html
    """
    os.sched_setscheduler(pid, policy, os.sched_param(1 if policy == os.SCHED_RR else 0))


async def measure(cloud: Cloud, running: Signer, measured_policy: int, options: argparse.Namespace) -> Figures:
    """Return the figures of all windows."""
    per_window = options.starts // options.windows
    seconds = round(per_window / options.rate)
    alone: list[Load] = []
    beside: list[Load] = []
    growth_alone: list[float] = []
    growth_beside: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with session.post(f"{cloud.oss}/-/buckets", json={"name": "videos", "region": "cn-hangzhou"}):
            pass
        starts = Starts(session, f"{running.public}/v1/apps/videos/multipart")
        target = Target(f"{running.public}/v1/apps/forms/uploads", "POST", json.dumps(_FORM))

        def send_forms(seconds: int) -> Load:
            schedule(measured_policy)  # wrk inherits it from this thread.
            pause = round(1000 * _CONNECTIONS / options.forms)
            return wrk(target, seconds=seconds, connections=_CONNECTIONS, pause_milliseconds=pause)

        async def forms(seconds: int) -> Load:
            return await asyncio.to_thread(send_forms, seconds)

        await asyncio.gather(forms(_WARM_UP_SECONDS), starts.burst(_BURST))
        for _ in range(options.windows):
            memory = [memory_mib(running.pid)]
            alone.append(await forms(seconds))
            memory.append(memory_mib(running.pid))
            found, _ = await asyncio.gather(forms(seconds), starts.send(options.rate, seconds))
            beside.append(found)
            memory.append(memory_mib(running.pid))
            growth_alone.append(memory[1] - memory[0])
            growth_beside.append(memory[2] - memory[1])
    for reason, count in starts.failures.items():
        sys.stderr.write(f"{count} starts failed: {reason}\n")
    end = memory_mib(running.pid)
    warm_up = options.windows // 4
    grown_alone, grown_beside = sum(growth_alone[warm_up:]), sum(growth_beside[warm_up:])
    return {
        "starts": float(starts.count),
        "starts_per_second": options.rate,
        "forms_per_second": median(load.requests_per_second for load in alone),
        **{
            f"p{percentile}_alone_ms": median(load.milliseconds[percentile] for load in alone)
            for percentile in (50, 99)
        },
        **{
            f"p{percentile}_beside_ms": median(load.milliseconds[percentile] for load in beside)
            for percentile in (50, 99)
        },
        "p99_ratio": median(
            with_starts.milliseconds[99] / without.milliseconds[99]
            for with_starts, without in zip(beside, alone, strict=True)
        ),
        "memory_mib": end,
        "growth_percent": 100 * (grown_alone + grown_beside) / end,
        "growth_by_starts_percent": 100 * (grown_beside - grown_alone) / end,
        "failed": float(sum(starts.failures.values()) + sum(load.failed for load in (*alone, *beside))),
    }


class Starts:
    """Starts uploads at a fixed rate, whether the starts before have ended or not."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.count = 0
        self.failures: Counter[str] = Counter()

    async def send(self, rate: float, seconds: float) -> None:
        """Start uploads for this time."""
        started = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(rate * seconds)):
                due = started + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(self._send())

    async def burst(self, count: int) -> None:
        """Start uploads at the same time."""
        await asyncio.gather(*(self._send() for _ in range(count)))

    async def _send(self) -> None:
        self.count += 1
        async with self._session.post(self._url, json=_BODY) as response:
            body = await response.read()
            if response.status != 201:
                self.failures[f"{response.status} {json.loads(body)['detail']}"] += 1


if __name__ == "__main__":
    sys.exit(main())
