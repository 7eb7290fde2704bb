"""Do callers with temporary credentials cost memory, or delay forms? `python -m bench.temporary_credentials`

First, credentials of 100,000 callers go through the cache of one process. Its memory is compared when twice as many
as fit into it were issued, and when all were. Then wrk requests forms at a steady rate, in windows with and without
requests for credentials at the same time, in turn. Each of these is of another caller, so each one that the pace allows
is a call of the signer to the local cloud, and the others are refused. Processes and priorities are those of
bench.multipart_starts.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from statistics import median

import aiohttp

from bench.bounds import Bound, as_json, bounds_table, compare
from bench.cpu_idle import without_idle_states
from bench.errors import CannotMeasure
from bench.multipart_starts import choose_policies, schedule
from bench.process_usage import memory_mib
from bench.processes import LOAD_CORE, SERVER_CORE, Cloud, Signer, local_cloud, signer
from bench.results import write_result
from bench.tables import Table
from bench.wrk import Load, Target, check_wrk, wrk
from signer.credentials.caller_credentials import MAX_CREDENTIALS, CallerCredentials, CallerRequest
from signer.signing.v4 import Credential

_API_KEY = "the-key-of-the-bench"
_DEFINITIONS = """\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  uploader:
    type: assume_role
    role_arn: acs:ram::1234567890123456:role/oss-upload
    endpoint: {cloud.sts}
    access_key_id: LTAI-local
    access_key_secret: local-secret
defaults: {{region: cn-hangzhou, bucket: photos, domain: "{cloud.oss}/photos", credentials: uploader}}
apps:
  forms: {{key_prefix: f/, key: uuid}}
  photos:
    key_prefix: p/{{caller}}/
    callers: {{type: api_key, keys: {{bench: {digest}}}}}
    temporary_credentials: {{}}
"""
_FORM = {"filename": "photo.jpg", "content_type": "image/jpeg", "size": 3_000_000}
_CONNECTIONS = 16
_WARM_UP_SECONDS = 3
_LIFE = timedelta(minutes=15)
_TOKEN_BYTES = 540
"""A security token of STS has some 720 characters."""

BOUNDS = (
    Bound("p99 of forms beside new callers, relative", lambda figures: figures["p99_ratio"], max_value=1.1),
    Bound("memory of the cache, all callers / a part of them", lambda figures: figures["cache_ratio"], max_value=1.1),
    Bound("memory of the cache, MiB", lambda figures: figures["cache_mib"], max_value=64),
    Bound("failed requests", lambda figures: figures["failed"], max_value=0),
)

Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 if a bound is not met."""
    parser = argparse.ArgumentParser(prog="python -m bench.temporary_credentials", description=__doc__)
    parser.add_argument("--callers", type=int, default=100_000, help="in the cache; default: 100,000")
    parser.add_argument("--rate", type=float, default=50.0, help="new callers per second; default: 50")
    parser.add_argument("--forms", type=float, default=500.0, help="forms per second; default: 500")
    parser.add_argument("--windows", type=int, default=7, help="of each kind; default: 7")
    parser.add_argument("--seconds", type=int, default=10, help="length of a window; default: 10")
    options = parser.parse_args(arguments)
    try:
        check_wrk()
        figures = asyncio.run(fill_cache(options.callers))
        # A core that sleeps wakes up late, and without new callers it sleeps more.
        with without_idle_states(), local_cloud() as cloud:
            measured, others = choose_policies()
            schedule(measured)
            text = _DEFINITIONS.format(cloud=cloud, digest=sha256(_API_KEY.encode()).hexdigest())
            with signer(text, core=SERVER_CORE) as running:
                os.sched_setaffinity(0, {LOAD_CORE})
                for pid in (0, cloud.pid):
                    schedule(others, pid)
                figures |= asyncio.run(measure(cloud, running, measured, options))
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    rows = [(name, f"{figure:,.3f}") for name, figure in figures.items()]
    sys.stdout.write(Table(("temporary credentials", ""), rows).text())
    results = compare(BOUNDS, figures)
    sys.stdout.write(bounds_table(results).text())
    write_result("temporary_credentials", {**figures, "bounds": as_json(BOUNDS, figures)})
    return 0 if all(result.is_met for result in results) else 1


@dataclass(frozen=True, slots=True)
class _InstantSource:
    """Issues a credential as large as one of STS."""

    async def fetch(self) -> Credential:
        return Credential(
            f"STS.{secrets.token_hex(12)}",
            secrets.token_urlsafe(32),
            f"CAIS{secrets.token_urlsafe(_TOKEN_BYTES)}",
            datetime.now(UTC) + _LIFE,
        )


async def fill_cache(callers: int) -> Figures:
    """Return the memory of a process's cache when it is full, and after the credentials of all callers."""
    credentials = CallerCredentials(1e9)
    before = _memory_mib()

    async def issue(first: int, end: int) -> float:
        for number in range(first, end):
            request = CallerRequest("photos", ("photos", f"o6zAJs5xTYvS1kVwdB7f{number:08}"), _LIFE, _InstantSource)
            await credentials.get(request)
        return _memory_mib() - before

    full_mib = await issue(0, min(callers, 2 * MAX_CREDENTIALS))
    all_mib = await issue(min(callers, 2 * MAX_CREDENTIALS), callers)
    cached = credentials.cached
    await credentials.close()
    return {
        "callers": float(callers),
        "cached": float(cached),
        "cache_mib": all_mib,
        "cache_ratio": all_mib / full_mib,
    }


def _memory_mib() -> float:
    gc.collect()
    return memory_mib(os.getpid())


async def measure(cloud: Cloud, running: Signer, measured_policy: int, options: argparse.Namespace) -> Figures:
    """Return the figures of all windows."""
    alone: list[Load] = []
    beside: list[Load] = []
    memory: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with session.post(f"{cloud.oss}/-/buckets", json={"name": "photos", "region": "cn-hangzhou"}):
            pass
        callers = NewCallers(session, f"{running.public}/v1/apps/photos/credentials")
        target = Target(f"{running.public}/v1/apps/forms/uploads", "POST", json.dumps(_FORM))

        def send_forms(seconds: int) -> Load:
            schedule(measured_policy)  # wrk inherits it from this thread.
            pause = round(1000 * _CONNECTIONS / options.forms)
            return wrk(target, seconds=seconds, connections=_CONNECTIONS, pause_milliseconds=pause)

        async def forms(seconds: int) -> Load:
            return await asyncio.to_thread(send_forms, seconds)

        await asyncio.gather(forms(_WARM_UP_SECONDS), callers.send(options.rate, _WARM_UP_SECONDS))
        for _ in range(options.windows):
            alone.append(await forms(options.seconds))
            found, _ = await asyncio.gather(forms(options.seconds), callers.send(options.rate, options.seconds))
            beside.append(found)
            memory.append(memory_mib(running.pid))
    unexpected = sum(count for status, count in callers.statuses.items() if status not in (200, 503))
    return {
        "new_callers_per_second": options.rate,
        "issued": float(callers.statuses[200]),
        "refused": float(callers.statuses[503]),
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
            with_callers.milliseconds[99] / without.milliseconds[99]
            for with_callers, without in zip(beside, alone, strict=True)
        ),
        "signer_mib": memory[-1],
        "failed": float(unexpected + sum(load.failed for load in (*alone, *beside))),
    }


class NewCallers:
    """Requests the credentials of other callers each time, at a fixed rate."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._count = 0
        self.statuses: Counter[int] = Counter()

    async def send(self, rate: float, seconds: float) -> None:
        """Send requests for this time, whether those before have ended or not."""
        started = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(rate * seconds)):
                due = started + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                self._count += 1
                tasks.create_task(self._send(f"caller-{self._count}"))

    async def _send(self, caller: str) -> None:
        headers = {"X-Api-Key": _API_KEY, "X-Caller": caller}
        async with self._session.post(self._url, headers=headers) as response:
            await response.read()
            self.statuses[response.status] += 1


if __name__ == "__main__":
    sys.exit(main())
