"""A signer on a local cloud of its own, by a fast clock, and the faults that both have to survive."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.soak.verified_load import VerifiedLoad
from tests.harness.fast_clock import FastClock
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until

SPEED = 20
TOKEN_SECONDS = 45
STEADY_SECONDS = 15
EXPIRES = timedelta(seconds=15)
MIN_REMAINING = timedelta(seconds=5)

TOKEN_OWNERS = {
    "instance-a": "instance",
    "instance-b": "instance",
    "assumed": "assumed",
    "chained": "chained",
    "narrow-a": "narrow/narrow-a",
    "narrow-b": "narrow/narrow-b",
}
"""For each app, what its tokens belong to."""
DEPENDENT_APPS = {
    "metadata": {"instance-a", "instance-b", "chained"},
    "sts": {"assumed", "chained", "narrow-a", "narrow-b"},
}

Fault = dict[str, Any]

BLOCKING: list[Fault] = [
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
"""During one of these, no usable token can be fetched."""
HARMLESS: list[Fault] = [
    {"kind": "latency", "seconds": 0.5},
    {"kind": "nearly_expired", "seconds": 30},
    {"kind": "clock", "offset_seconds": 10},
]
"""During one of these, every form is still available."""
REVOKED: Fault = {"kind": "revoked"}
LONGEST_LIFETIME = timedelta(seconds=TOKEN_SECONDS + 10)
"""The longest lifetime of a token: a clock that is ahead issued it."""


def definitions(cloud: Cloud) -> str:
    """Return the YAML with a role of each kind."""
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
defaults: {{region: cn-hangzhou, key_prefix: '', bucket: photos, domain: "{cloud.oss}/photos", expires: {EXPIRES.seconds}s}}
apps:
  instance-a: {{credentials: instance, key_prefix: instance-a/}}
  instance-b: {{credentials: instance, key_prefix: instance-b/}}
  assumed: {{credentials: assumed, key_prefix: assumed/}}
  chained: {{credentials: chained, key_prefix: chained/}}
  narrow-a: {{credentials: narrow, key_prefix: narrow-a/}}
  narrow-b: {{credentials: narrow, key_prefix: narrow-b/}}
"""


@dataclass(frozen=True, slots=True)
class FaultyCloud:
    """A local cloud whose faults are set through the load, and a signer that uses it."""

    cloud: Cloud
    signer: Signer
    load: VerifiedLoad
    clock: FastClock

    async def wait_until_accepted(self, apps: Iterable[str] = TOKEN_OWNERS) -> None:
        """Return once OSS has accepted a form of each app."""
        for app in apps:

            async def is_accepted(app: str = app) -> bool:
                outcome = await self.load.request_and_upload(app)
                assert outcome != "violation", self.load.violations[:10]
                return outcome == "accepted"

            await wait_until(is_accepted)

    async def recover(self) -> None:
        """End all faults, wait until every app has its forms again, and verify all forms."""
        await self.load.set_faults()
        async with self.load.running():
            await self.wait_until_accepted()
            await self.clock.sleep(STEADY_SECONDS)
        await wait_until(self.signer.is_ready)
        await self.load.verify_last_moments()
        assert not self.load.violations, (len(self.load.violations), self.load.violations[:10])
        assert self.load.counts["last moments"]


@contextlib.asynccontextmanager
async def faulty_cloud(session: aiohttp.ClientSession, clock: FastClock, directory: Path) -> AsyncIterator[FaultyCloud]:
    """Run a local cloud and a signer that uses it."""
    arguments = ("--token-seconds", str(TOKEN_SECONDS))
    async with local_cloud(session, *arguments, environ=clock.environ) as cloud:
        await cloud.create_bucket("photos")
        directory.mkdir()
        config = directory / "signer.yaml"
        config.write_text(definitions(cloud), encoding="utf-8")
        async with signer(session, config, environ=clock.environ) as running:
            load = VerifiedLoad(
                cloud, running, clock, token_owners=TOKEN_OWNERS, shortest=MIN_REMAINING, longest=EXPIRES
            )
            yield FaultyCloud(cloud, running, load, clock)
