"""Disturbances of what the signer uses: Redis, STS, and the servers of apps."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any, get_args

from tests.faults.soak.app_server import Failure
from tests.faults.soak.load import OBJECTS
from tests.faults.soak.world import CLOSED_APPS, DENIED_ROLES, NOTIFIED_APPS, PARTNER_ROLES, World, apps_of
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import wait_until

FAILING_SERVER, REJECTING_SERVER, *HEALTHY_SERVERS = NOTIFIED_APPS
STS_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "hang"},
    {"kind": "latency", "seconds": 60},
    {"kind": "reset"},
    {"kind": "status", "status": 502},
    {"kind": "throttling"},
    {"kind": "malformed"},
    {"kind": "truncated"},
    {"kind": "expired"},
)


@contextlib.asynccontextmanager
async def redis_without_master(world: World, rng: random.Random) -> AsyncIterator[None]:
    """The master of Redis dies, hangs or is replaced; the sentinel promotes its replica."""
    await wait_until(world.sentinel.has_replica)
    first, second = world.redis
    master, replica = (first, second) if await first.is_master() else (second, first)
    end = rng.choice([_kill, _freeze, _replace])
    async with world.unhealthy(CLOSED_APPS, 429):
        try:
            await end(world, master)
            await world.sentinel.wait_for_master(replica)
            yield
        finally:
            master.thaw()
            if end is _kill:
                await master.start()


async def _kill(_world: World, master: RedisServer) -> None:
    await master.kill()


async def _freeze(_world: World, master: RedisServer) -> None:
    master.freeze()


async def _replace(world: World, _master: RedisServer) -> None:
    await world.sentinel.fail_over()


@contextlib.asynccontextmanager
async def failing_sts(world: World, rng: random.Random) -> AsyncIterator[None]:
    """The STS of some roles fails, for longer than their tokens live."""
    async with world.unhealthy(apps_of(PARTNER_ROLES), 503):
        await world.partner.set_faults(sts=rng.choice(STS_FAULTS))
        try:
            yield
        finally:
            await world.partner.set_faults()


@contextlib.asynccontextmanager
async def denied_roles(world: World, _rng: random.Random) -> AsyncIterator[None]:
    """Some roles can no longer be assumed, for longer than their tokens live; the STS is that of the healthy roles."""
    async with world.unhealthy(apps_of(DENIED_ROLES), 503):
        for role in DENIED_ROLES:
            await world.cloud.trust_role(role, trusted=False)
        try:
            yield
        finally:
            for role in DENIED_ROLES:
                await world.cloud.trust_role(role, trusted=True)


@contextlib.asynccontextmanager
async def failing_app_server(world: World, rng: random.Random) -> AsyncIterator[None]:
    """The server of one app answers no event with 2xx."""
    server = world.servers[FAILING_SERVER]
    server.failure = rng.choice(get_args(Failure))
    try:
        await _deliver(world, *HEALTHY_SERVERS)
        yield
    finally:
        server.failure = None


@contextlib.asynccontextmanager
async def rejected_events(world: World, _rng: random.Random) -> AsyncIterator[None]:
    """The server of one app rejects the events of some objects, and accepts those of others."""
    server = world.servers[REJECTING_SERVER]
    *rejected, accepted = OBJECTS
    server.rejected_keys = {f"{REJECTING_SERVER}/{filename}" for filename in rejected}
    try:
        await asyncio.gather(
            _deliver(world, *HEALTHY_SERVERS), world.load.wait_for_deliveries(REJECTING_SERVER, [accepted])
        )
        yield
    finally:
        server.rejected_keys = set()


async def _deliver(world: World, *apps: str) -> None:
    await asyncio.gather(*map(world.load.wait_for_deliveries, apps))
