"""Do multipart uploads cost memory, or delay forms? `python -m bench.multipart_starts`

Forms are requested at a fixed rate, in windows with and without starts of multipart uploads beside them, in turn. Each
start is a call of the signer to the local cloud, which has a low priority on the load's core. Reported are the p99
of the forms in both kinds of windows, and the memory of the signer after each window.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import aiohttp

from bench.bounds import Bound, as_json, bounds_table, compare
from bench.errors import CannotMeasure
from bench.process_usage import memory_mib
from bench.processes import LOAD_CORE, SERVER_CORE, Cloud, Signer, local_cloud, signer
from bench.results import write_result
from bench.tables import Table

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
_WARM_UP_SECONDS = 3.0
_MAX_ALONE_SECONDS = 10.0
_CLOUD_NICENESS = 5

BOUNDS = (
    Bound("p99 of forms beside starts, relative", lambda figures: figures["p99_ratio"], max_value=1.1),
    Bound("growth of memory, %", lambda figures: figures["growth_percent"], max_value=1),
    Bound("failed requests", lambda figures: figures["failed"], max_value=0),
)

Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 if a bound is not met."""
    parser = argparse.ArgumentParser(prog="python -m bench.multipart_starts", description=__doc__)
    parser.add_argument("--starts", type=int, default=10_000, help="in all; default: 10,000")
    parser.add_argument("--rate", type=float, default=50.0, help="starts per second; default: 50")
    parser.add_argument("--forms", type=float, default=200.0, help="forms per second; default: 200")
    parser.add_argument("--windows", type=int, default=10, help="of each kind; default: 10")
    options = parser.parse_args(arguments)
    try:
        with local_cloud() as cloud:
            os.sched_setaffinity(0, {LOAD_CORE})
            for pid in cloud_processes():
                os.setpriority(os.PRIO_PROCESS, pid, _CLOUD_NICENESS)
            with signer(_DEFINITIONS.format(cloud=cloud, secret="s" * 32), core=SERVER_CORE) as running:
                figures = asyncio.run(measure(cloud, running, options))
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    rows = [(name, f"{figure:,.3f}") for name, figure in figures.items()]
    sys.stdout.write(Table(("multipart starts", ""), rows).text())
    results = compare(BOUNDS, figures)
    sys.stdout.write(bounds_table(results).text())
    write_result("multipart_starts", {**figures, "bounds": as_json(BOUNDS, figures)})
    return 0 if all(result.is_met for result in results) else 1


def cloud_processes() -> list[int]:
    """Return the children of this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in children.read_text("ascii").split()]


async def measure(cloud: Cloud, running: Signer, options: argparse.Namespace) -> Figures:
    """Return the figures of all windows."""
    per_window = options.starts // options.windows
    seconds = per_window / options.rate
    alone: list[float] = []
    beside: list[float] = []
    memory: list[float] = []
    failures: list[str] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with session.post(f"{cloud.oss}/-/buckets", json={"name": "videos", "region": "cn-hangzhou"}):
            pass
        forms = Requests(session, f"{running.public}/v1/apps/forms/uploads", failures)
        starts = Requests(session, f"{running.public}/v1/apps/videos/multipart", failures)
        await asyncio.gather(forms.send(options.forms, _WARM_UP_SECONDS), starts.send(options.rate, _WARM_UP_SECONDS))
        for _ in range(options.windows):
            alone.append(p99(await forms.send(options.forms, min(seconds, _MAX_ALONE_SECONDS))))
            found, _ = await asyncio.gather(forms.send(options.forms, seconds), starts.send(options.rate, seconds))
            beside.append(p99(found))
            memory.append(memory_mib(running.pid))
    quarter = max(1, len(memory) // 4)
    early, late = median(memory[quarter : 2 * quarter] or memory), median(memory[-quarter:])
    return {
        "starts": float(per_window * options.windows),
        "p99_alone_ms": median(alone) * 1000,
        "p99_beside_ms": median(beside) * 1000,
        "p99_ratio": median(beside) / median(alone),
        "memory_mib": late,
        "growth_percent": 100 * (late - early) / early,
        "failed": float(len(failures)),
        **{f"failed with {status}": float(number) for status, number in Counter(failures).items()},
    }


class Requests:
    """Sends the same request again and again, at a fixed rate, whether the ones before have ended or not."""

    def __init__(self, session: aiohttp.ClientSession, url: str, failures: list[str]) -> None:
        self._session = session
        self._url = url
        self._failures = failures

    async def send(self, rate: float, seconds: float) -> list[float]:
        """Return the duration of each request in seconds, from when it was due."""
        started = time.perf_counter()
        tasks = []
        for number in range(int(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self._send(time.perf_counter())))
        return list(await asyncio.gather(*tasks))

    async def _send(self, due: float) -> float:
        async with self._session.post(self._url, json=_BODY) as response:
            await response.read()
            if response.status != 201:
                self._failures.append(f"{self._url.rpartition('/')[2]} {response.status}")
        return time.perf_counter() - due


def p99(durations: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return sorted(durations)[int(len(durations) * 0.99)]


if __name__ == "__main__":
    sys.exit(main())
