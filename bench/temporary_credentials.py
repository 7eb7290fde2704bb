"""Do callers with temporary credentials cost memory, or delay forms? `python -m bench.temporary_credentials`

First, credentials of 100,000 callers go through the cache of one process. Its memory is compared when twice as many
as fit into it were issued, and when all were. Then wrk requests forms at a steady rate, in windows with and without
requests for credentials at the same time, in turn. Each of these is of another caller, so each one that the pace allows
is a call of the signer to the local cloud, and the others are refused. bench.forms_and_other_work describes windows
and processes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import aiohttp

from bench.bounds import Bound
from bench.cpu_idle import without_idle_states
from bench.errors import CannotMeasure
from bench.forms_and_other_work import WARM_UP_SECONDS, Figures, Place, latency_figures, place, report, send_at_rate
from bench.process_usage import memory_mib
from bench.processes import Cloud
from bench.wrk import Load
from signer.credentials.caller_credentials import MAX_CREDENTIALS, CallerCredentials, CallerRequest
from signer.signing.v4 import Credential

_API_KEY = "the-key-of-the-bench"
_LIFETIME = timedelta(minutes=15)
_TOKEN_BYTES = 540
"""A security token of STS has some 720 characters."""

BOUNDS = (
    Bound("p99 of forms during new callers, relative", lambda figures: figures["p99_ratio"], max_value=1.1),
    Bound("memory of the cache, all callers / a part of them", lambda figures: figures["cache_ratio"], max_value=1.1),
    Bound("memory of the cache, MiB", lambda figures: figures["cache_mib"], max_value=64),
    Bound("failed requests", lambda figures: figures["failed"], max_value=0),
)


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
        figures = asyncio.run(fill_cache(options.callers))
        # A core that sleeps wakes up late, and without new callers it sleeps more.
        with without_idle_states(), place(_definitions) as measured:
            figures |= asyncio.run(measure(measured, options))
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return report("temporary_credentials", BOUNDS, figures)


def _definitions(cloud: Cloud) -> str:
    return f"""\
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
    callers: {{type: api_key, keys: {{bench: {sha256(_API_KEY.encode()).hexdigest()}}}}}
    temporary_credentials: {{}}
"""


@dataclass(frozen=True, slots=True)
class _InstantSource:
    """Issues a credential as large as one of STS."""

    async def fetch(self) -> Credential:
        return Credential(
            f"STS.{secrets.token_hex(12)}",
            secrets.token_urlsafe(32),
            f"CAIS{secrets.token_urlsafe(_TOKEN_BYTES)}",
            datetime.now(UTC) + _LIFETIME,
        )


async def fill_cache(callers: int) -> Figures:
    """Return the memory of a process's cache when it is full, and after the credentials of all callers."""
    credentials = CallerCredentials(1e9)
    before = _memory_mib()

    async def issue(first: int, end: int) -> float:
        for number in range(first, end):
            request = CallerRequest("photos", ("photos", f"o6zAJs5xTYvS1kVwdB7f{number:08}"), _LIFETIME, _InstantSource)
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


async def measure(measured: Place, options: argparse.Namespace) -> Figures:
    """Return the figures of all windows."""
    alone: list[Load] = []
    during: list[Load] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await measured.create_bucket(session, "photos")
        callers = NewCallers(session, f"{measured.signer.public}/v1/apps/photos/credentials")

        async def both(seconds: int) -> Load:
            found, _ = await asyncio.gather(
                measured.request_forms(options.forms, seconds), send_at_rate(callers.send, options.rate, seconds)
            )
            return found

        await both(WARM_UP_SECONDS)
        for _ in range(options.windows):
            alone.append(await measured.request_forms(options.forms, options.seconds))
            during.append(await both(options.seconds))
    unexpected = sum(count for status, count in callers.statuses.items() if status not in (200, 503))
    return {
        "new_callers_per_second": options.rate,
        "issued": float(callers.statuses[200]),
        "refused": float(callers.statuses[503]),
        **latency_figures(alone, during),
        "signer_mib": memory_mib(measured.signer.pid),
        "failed": float(unexpected + sum(load.failed for load in (*alone, *during))),
    }


class NewCallers:
    """Requests the credential of another caller each time."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._count = 0
        self.statuses: Counter[int] = Counter()

    async def send(self) -> None:
        """Request the credential of the next caller."""
        self._count += 1
        headers = {"X-Api-Key": _API_KEY, "X-Caller": f"caller-{self._count}"}
        async with self._session.post(self._url, headers=headers) as response:
            await response.read()
            self.statuses[response.status] += 1


if __name__ == "__main__":
    sys.exit(main())
