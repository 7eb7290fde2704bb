"""Every fault of the local cloud, alone and in random sequences, at a time speeded up.

Whatever happens there, the signer gives a good form or says 503; it never signs for longer than a token lives, comes
back by itself, and keeps its memory, files, threads and secrets.

SOAK_SECONDS (of our own time) and SOAK_SEED choose how long and what the random sequence is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from localcloud.fault_kinds import KINDS
from tests.e2e.judged import Form, Judged
from tests.harness.fast_clock import FastClock, fast_clock
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import LOCAL_ENVIRON, Signer, signer
from tests.harness.waiting import DEADLINE_SECONDS, wait_until

in_one_loop = pytest.mark.asyncio(loop_scope="module")

SPEED = 20
TOKEN_SECONDS = 45
ALONE_SECONDS = 75
"""How long, by the fast clock, a fault lasts at least: it outlives every token."""
STEADY_SECONDS = 15
EXPIRES = timedelta(seconds=15)
MIN_REMAINING = timedelta(seconds=5)

ROLES = {
    "instance-a": "instance",
    "instance-b": "instance",
    "assumed": "assumed",
    "chained": "chained",
    "narrow-a": "narrow/narrow-a",
    "narrow-b": "narrow/narrow-b",
}
"""Who signs for which app."""
DEPENDENT = {
    "metadata": {"instance-a", "instance-b", "chained"},
    "sts": {"assumed", "chained", "narrow-a", "narrow-b"},
}

Fault = dict[str, Any]

STARVING: list[Fault] = [
    {"kind": "latency", "seconds": 60},
    {"kind": "hang"},
    {"kind": "reset"},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 404},
    {"kind": "throttling"},
    {"kind": "malformed"},
    {"kind": "truncated"},
    {"kind": "expired"},
    {"kind": "nearly_expired", "seconds": 3},
    {"kind": "clock", "offset_seconds": -3600},
]
"""While one lasts no usable token can be had."""
HARMLESS: list[Fault] = [
    {"kind": "latency", "seconds": 0.5},
    {"kind": "nearly_expired", "seconds": 30},
    {"kind": "clock", "offset_seconds": 10},
]
"""While one lasts every form can still be had."""
REVOKED: Fault = {"kind": "revoked"}
LONGEST_LIFE = timedelta(seconds=TOKEN_SECONDS + 10)
"""Of a token in use: one that was issued by a clock ahead."""


def definitions(cloud: Cloud) -> str:
    return f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}", min_remaining: {MIN_REMAINING.seconds}s}}
  assumed: {{type: assume_role, endpoint: "{cloud.sts}", min_remaining: {MIN_REMAINING.seconds}s}}
  chained:
    type: assume_role
    source: instance
    role_arn: acs:ram::1234567890123456:role/chained
    endpoint: "{cloud.sts}"
    min_remaining: {MIN_REMAINING.seconds}s
  narrow: {{type: assume_role, endpoint: "{cloud.sts}", scope: app, min_remaining: {MIN_REMAINING.seconds}s}}
defaults: {{region: cn-hangzhou, bucket: photos, domain: "{cloud.oss}/photos", expires: {EXPIRES.seconds}s}}
apps:
  instance-a: {{credentials: instance, key_prefix: instance-a/}}
  instance-b: {{credentials: instance, key_prefix: instance-b/}}
  assumed: {{credentials: assumed, key_prefix: assumed/}}
  chained: {{credentials: chained, key_prefix: chained/}}
  narrow-a: {{credentials: narrow, key_prefix: narrow-a/}}
  narrow-b: {{credentials: narrow, key_prefix: narrow-b/}}
"""


@dataclass(frozen=True, slots=True)
class Pair:
    cloud: Cloud
    signer: Signer
    judged: Judged


@contextlib.asynccontextmanager
async def running_pair(session: aiohttp.ClientSession, clock: FastClock, directory: Path) -> AsyncIterator[Pair]:
    """A local cloud of its own and a signer that lives on it."""
    async with local_cloud(session, "--token-seconds", str(TOKEN_SECONDS), environ=clock.environ) as cloud:
        await cloud.create_bucket("photos")
        directory.mkdir()
        config = directory / "signer.yaml"
        config.write_text(definitions(cloud), encoding="utf-8")
        async with signer(session, config, environ=clock.environ) as running:
            judged = Judged(cloud, running, clock, roles=ROLES, shortest=MIN_REMAINING, longest=EXPIRES)
            yield Pair(cloud, running, judged)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    # The signer closes idle connections after 75 s, which are 4 s of ours: a connection for each request.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clock() -> AsyncIterator[FastClock]:
    async with fast_clock(SPEED) as clock:
        yield clock


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pairs(
    clock: FastClock, session: aiohttp.ClientSession, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Pair]]:
    """One whose metadata service is to fail, and one whose STS is."""
    directory = tmp_path_factory.mktemp("soak")
    async with contextlib.AsyncExitStack() as stack:
        yield {
            server: await stack.enter_async_context(running_pair(session, clock, directory / server))
            for server in DEPENDENT
        }


async def all_accepted(judged: Judged, apps: Iterable[str] = ROLES) -> None:
    """Returns once OSS has taken a form of every app."""
    for app in apps:
        outcome = "no answer"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_SECONDS):
                while (outcome := await judged.ask(app)) not in ("accepted", "wrong"):
                    await asyncio.sleep(0.05)
        assert outcome == "accepted", (app, outcome, judged.wrong[:10])


async def ready(running: Signer) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with running.session.get(f"{running.admin}/readyz") as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.05)


def test_every_kind_of_fault_is_here() -> None:
    assert {fault["kind"] for fault in [*STARVING, *HARMLESS, REVOKED]} == set(KINDS)


def name(fault: Fault) -> str:
    return "-".join(str(value) for value in fault.values())


@in_one_loop
@pytest.mark.parametrize("fault", [*STARVING, *HARMLESS, REVOKED], ids=name)
async def test_a_fault_alone(fault: Fault, clock: FastClock, pairs: dict[str, Pair]) -> None:
    """At metadata and at STS, each with a cloud and a signer of its own."""
    runs = (one_fault(server, fault, pair, clock) for server, pair in pairs.items())
    failures = [each for each in await asyncio.gather(*runs, return_exceptions=True) if each is not None]
    if failures:
        raise BaseExceptionGroup(name(fault), failures)


async def one_fault(server: str, fault: Fault, pair: Pair, clock: FastClock) -> None:
    judged = pair.judged
    judged.wrong.clear()
    await judged.set_faults()
    await all_accepted(judged)
    judged.seen.clear()
    if fault == REVOKED:
        await judged.revoke(server, LONGEST_LIFE)
    else:
        await judged.set_faults(**{server: fault})
    async with judged.load():
        # On a machine with much else to do even a healthy service misses the SDK's time-outs now and then, since they
        # are short by our time. So what is asked is that forms can be had, and never that each request gets one.
        await clock.sleep(ALONE_SECONDS)
        starving = DEPENDENT[server] if fault in STARVING else set()
        await wait_until(lambda: bool(judged.wrong) or all(judged.seen[f"{app} unavailable"] for app in starving))
        await all_accepted(judged, ROLES.keys() - starving)
    await recover(pair, clock)


async def recover(pair: Pair, clock: FastClock) -> None:
    """Clears all faults, waits until every app has its forms again, and looks at all that was given out."""
    judged = pair.judged
    await judged.set_faults()
    async with judged.load():
        await all_accepted(judged)
        await clock.sleep(STEADY_SECONDS)
    await ready(pair.signer)
    await judged.judge_last_moments()
    assert not judged.wrong, (len(judged.wrong), judged.wrong[:10])
    assert judged.seen["last moments"]


@in_one_loop
@pytest.mark.parametrize("fault", [*STARVING, *HARMLESS], ids=name)
async def test_a_fault_of_oss_changes_no_form(fault: Fault, pairs: dict[str, Pair]) -> None:
    """What is signed while OSS fails is good when OSS is well again."""
    judged = pairs["sts"].judged
    judged.wrong.clear()
    async with asyncio.timeout(DEADLINE_SECONDS):
        outcomes: set[str] = set()
        while "accepted" not in outcomes:
            await judged.set_faults(oss=fault)
            forms = [await judged.form(app) for app in ROLES]
            await judged.set_faults()
            outcomes = {await judged.judge(form) for form in forms if isinstance(form, Form)}
            assert not judged.wrong, (len(judged.wrong), judged.wrong[:10])


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds."""

    memory_bytes: int
    files: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        numbers = dict(re.findall(r"^(VmRSS|Threads):\s+([0-9]+)", status, re.MULTILINE))
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(int(numbers["VmRSS"]) * 1024, files, int(numbers["Threads"]))


MORE_MEMORY_BYTES = 8 * 2**20
MORE_FILES = 4
MORE_THREADS = 8
"""asyncio's own pool for look-ups grows up to a bound when several are made at once."""
LONG_TEXT = re.compile(r"[\w-]{43,}", re.ASCII)
"""The shortest secret of a token is so long, and nothing that belongs into a log is."""


def random_faults(rng: random.Random) -> dict[str, list[Fault]]:
    """For metadata and STS, often for one of them only, sometimes for none; some hold by chance, some are two."""
    if rng.random() < 0.1:
        return {rng.choice(list(DEPENDENT)): [REVOKED]}
    return {
        server: [
            {**fault, "probability": rng.choice([0.3, 1])}
            for fault in rng.sample([*STARVING, *HARMLESS], rng.choice([1, 1, 2]))
        ]
        for server in DEPENDENT
        if rng.random() < 0.6
    }


@in_one_loop
async def test_random_faults(clock: FastClock, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """What happened is told when it fails, or by `pytest -rP`."""
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(10**6))
    end = time.monotonic() + float(os.environ.get("SOAK_SECONDS", "20"))
    story = [f"SOAK_SEED={seed}"]
    try:
        async with running_pair(session, clock, tmp_path / "soak") as pair:
            await soak(pair, clock, random.Random(seed), end, story)
        output = "".join([*pair.signer.output, *pair.signer.process.output, *pair.cloud.process.errors])
        secrets = {LOCAL_ENVIRON["OSS_ACCESS_KEY_SECRET"], *pair.judged.security_tokens}
        assert not [secret for secret in secrets if secret in output]
        assert not LONG_TEXT.findall(output)
    finally:
        print(*story, sep="\n")


async def soak(pair: Pair, clock: FastClock, rng: random.Random, end: float, story: list[str]) -> None:
    judged, pid = pair.judged, pair.signer.process.pid
    for fault in STARVING:
        await judged.set_faults(metadata=fault, sts=fault)
        async with judged.load():
            await clock.sleep(5)
    await recover(pair, clock)
    before = Usage.of(pid)
    while time.monotonic() < end:
        faults = random_faults(rng)
        seconds = rng.uniform(5, 90)
        story.append(f"{clock.now():%H:%M:%S} for {seconds:.0f} s: {faults or 'healthy'}")
        judged.seen.clear()
        if [REVOKED] in faults.values():
            await judged.revoke(next(iter(faults)), LONGEST_LIFE)
        else:
            await judged.set_faults(**faults)
        async with judged.load():
            await clock.sleep(seconds)
        story.append(f"  {dict(judged.seen)}")
        assert not judged.wrong, (len(judged.wrong), judged.wrong[:10])
    story.append(f"{clock.now():%H:%M:%S} faults cleared")
    await recover(pair, clock)
    story.append(f"  {dict(judged.seen)}")
    with contextlib.suppress(TimeoutError):
        await wait_until(lambda: Usage.of(pid).files <= before.files + MORE_FILES)
    after = Usage.of(pid)
    story.append(f"{before} -> {after}")
    assert after.files <= before.files + MORE_FILES
    assert after.threads <= before.threads + MORE_THREADS
    assert after.memory_bytes <= before.memory_bytes + MORE_MEMORY_BYTES
