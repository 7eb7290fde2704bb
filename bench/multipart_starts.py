"""Do multipart uploads cost memory, or delay forms? `python -m bench.multipart_starts`

Each start is a call of the signer to the local cloud. bench.forms_and_other_work describes windows and processes.
Reported are the p99 of the forms and how much the signer's memory grows in both kinds of windows, after a quarter of
them as warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence

import aiohttp

from bench.bounds import Bound
from bench.errors import CannotMeasure
from bench.forms_and_other_work import WARM_UP_SECONDS, Figures, Place, latency_figures, place, report, send_at_rate
from bench.process_usage import memory_mib
from bench.processes import Cloud
from bench.wrk import Load

_BODY = {"filename": "trip.mp4", "content_type": "video/mp4", "size": 200_000_000}
_BURST = 300
"""Starts at the same time during the warm-up. On a busy machine starts pile up, which needs memory once, not again."""

BOUNDS = (
    Bound("p99 of forms during starts, relative", lambda figures: figures["p99_ratio"], max_value=1.1),
    Bound("growth of memory by starts, %", lambda figures: figures["growth_by_starts_percent"], max_value=1),
    Bound("failed requests", lambda figures: figures["failed"], max_value=0),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 if a bound is not met."""
    parser = argparse.ArgumentParser(prog="python -m bench.multipart_starts", description=__doc__)
    parser.add_argument("--starts", type=int, default=10_000, help="in all; default: 10,000")
    parser.add_argument("--rate", type=float, default=50.0, help="starts per second; default: 50")
    parser.add_argument("--forms", type=float, default=500.0, help="forms per second; default: 500")
    parser.add_argument("--windows", type=int, default=10, help="of each kind; default: 10")
    options = parser.parse_args(arguments)
    try:
        with place(_definitions) as measured:
            figures = asyncio.run(measure(measured, options))
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return report("multipart_starts", BOUNDS, figures)


def _definitions(cloud: Cloud) -> str:
    return f"""\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", secret: {"s" * 32}}}
credentials: {{instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}
defaults: {{region: cn-hangzhou, bucket: videos, domain: "{cloud.oss}/videos", credentials: instance}}
apps:
  forms: {{key_prefix: f/, key: uuid, max_size: 1GiB}}
  videos: {{key_prefix: v/, multipart: {{}}}}
"""


async def measure(measured: Place, options: argparse.Namespace) -> Figures:
    """Return the figures of all windows."""
    seconds = round(options.starts // options.windows / options.rate)
    pid = measured.signer.pid
    alone: list[Load] = []
    during: list[Load] = []
    growth_alone: list[float] = []
    growth_during: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await measured.create_bucket(session, "videos")
        starts = Starts(session, f"{measured.signer.public}/v1/apps/videos/multipart")
        await asyncio.gather(measured.request_forms(options.forms, WARM_UP_SECONDS), starts.burst(_BURST))
        for _ in range(options.windows):
            memory = [memory_mib(pid)]
            alone.append(await measured.request_forms(options.forms, seconds))
            memory.append(memory_mib(pid))
            found, _ = await asyncio.gather(
                measured.request_forms(options.forms, seconds), send_at_rate(starts.send, options.rate, seconds)
            )
            during.append(found)
            memory.append(memory_mib(pid))
            growth_alone.append(memory[1] - memory[0])
            growth_during.append(memory[2] - memory[1])
    for reason, count in starts.failures.items():
        sys.stderr.write(f"{count} starts failed: {reason}\n")
    end = memory_mib(pid)
    warm_up = options.windows // 4
    grown_alone, grown_during = sum(growth_alone[warm_up:]), sum(growth_during[warm_up:])
    return {
        "starts": float(starts.count),
        "starts_per_second": options.rate,
        **latency_figures(alone, during),
        "memory_mib": end,
        "growth_percent": 100 * (grown_alone + grown_during) / end,
        "growth_by_starts_percent": 100 * (grown_during - grown_alone) / end,
        "failed": float(sum(starts.failures.values()) + sum(load.failed for load in (*alone, *during))),
    }


class Starts:
    """Starts uploads and counts them."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.count = 0
        self.failures: Counter[str] = Counter()

    async def burst(self, count: int) -> None:
        """Start uploads at the same time."""
        await asyncio.gather(*(self.send() for _ in range(count)))

    async def send(self) -> None:
        """Start an upload."""
        self.count += 1
        async with self._session.post(self._url, json=_BODY) as response:
            body = await response.read()
            if response.status != 201:
                self.failures[f"{response.status} {json.loads(body)['detail']}"] += 1


if __name__ == "__main__":
    sys.exit(main())
