"""Disturbances of the signer's own surroundings: its log, disks, files, definitions and clients."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tests.faults.soak.health import CREATED
from tests.faults.soak.load import OBJECTS
from tests.faults.soak.world import FILE_ROLES, MAX_OPEN_FILES, NOTIFIED_APPS, UNLIMITED_APPS, World, apps_of
from tests.harness.waiting import wait_until

NOT_READ_APP = UNLIMITED_APPS[-1]
COLD_APPS, REQUESTED_COLD_APPS = 200, 20
NEVER_READING_CLIENTS, PIPELINED_REQUESTS = 8, 1000
RECEIVE_BUFFER_BYTES = 4096
RELOAD_PAUSE_SECONDS = 0.5


@contextlib.asynccontextmanager
async def unread_log(world: World, _rng: random.Random) -> AsyncIterator[None]:
    """No process reads stderr."""
    stderr = world.running.process.stderr
    stderr.stop_reading()
    try:
        yield
    finally:
        stderr.resume_reading()


@contextlib.contextmanager
def _filled(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    try:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield
    finally:
        filler.unlink()


@contextlib.asynccontextmanager
async def full_audit_disk(world: World, _rng: random.Random) -> AsyncIterator[None]:
    """The audit log cannot be written."""
    with _filled(world.disk("audit")):
        yield


@contextlib.asynccontextmanager
async def full_queue_disk(world: World, _rng: random.Random) -> AsyncIterator[None]:
    """The callback queue cannot be written."""
    with world.health.unhealthy_queue():
        with _filled(world.disk("queue")):
            yield
        for app in NOTIFIED_APPS:
            await wait_until(partial(world.load.upload, app, OBJECTS[0]))


@contextlib.asynccontextmanager
async def hung_secrets(world: World, _rng: random.Random) -> AsyncIterator[None]:
    """The secret files of some roles hang, for longer than their tokens live; edits wait for them."""
    async with world.unhealthy(apps_of(FILE_ROLES), 503):
        world.files.hang()
        try:
            yield
        finally:
            world.files.respond()


@contextlib.asynccontextmanager
async def refused_definitions(world: World, _rng: random.Random) -> AsyncIterator[None]:
    """An edit refers to a file that is missing, and becomes active when it is there."""
    secret = world.directory / "late-secret"
    callers = {"type": "api_key", "keys": {"late": f"${{file:{secret}}}"}}
    apps = {"late": {"key_prefix": "late/", "credentials": "r0", "callers": callers}}
    with world.health.unhealthy(apps, 401):
        async with world.edited("late", apps=apps):
            await wait_until(lambda: _has_metric(world, "config_reload_retrying", 1))
            yield
            secret.write_text("0" * 64, encoding="utf-8")
            await world.wait_for_status("late", 401)
        secret.unlink()


async def _has_metric(world: World, name: str, value: float) -> bool:
    return await world.running.metric(name) == value


@contextlib.asynccontextmanager
async def cold_roles(world: World, rng: random.Random) -> AsyncIterator[None]:
    """An edit adds 200 apps with a role each, and clients request forms of some."""
    apps = {f"cold{number}": {"key_prefix": f"cold{number}/", "credentials": "cold"} for number in range(COLD_APPS)}
    role = {"type": "assume_role", "endpoint": world.cloud.sts, "scope": "app", "min_remaining": "1s"}
    with world.health.unhealthy(apps, 503):
        async with world.edited("cold", credentials={"cold": role}, apps=apps):
            requested = rng.sample(sorted(apps), REQUESTED_COLD_APPS)
            await asyncio.gather(*(world.wait_for_status(app, CREATED) for app in requested))
            yield


@contextlib.asynccontextmanager
async def repeated_reloads(world: World, _rng: random.Random) -> AsyncIterator[None]:
    """SIGHUP arrives again and again."""

    async def keep_reloading() -> None:
        while True:
            world.running.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(RELOAD_PAUSE_SECONDS)

    reloading = asyncio.create_task(keep_reloading())
    try:
        yield
    finally:
        reloading.cancel()
        await asyncio.gather(reloading, return_exceptions=True)


@contextlib.asynccontextmanager
async def idle_connections(world: World, _rng: random.Random) -> AsyncIterator[None]:
    """Clients open more connections than the signer may have open files, and send nothing."""
    with contextlib.ExitStack() as stack:
        world.health.may_close_idle_connections = True
        for _ in range(MAX_OPEN_FILES):
            stack.enter_context(_connection(world))
        yield
    await wait_until(partial(_has_metric, world, "waiting_connections", 0))
    world.health.may_close_idle_connections = False


@contextlib.asynccontextmanager
async def never_reading_clients(world: World, _rng: random.Random) -> AsyncIterator[None]:
    """Clients send many requests and read no response."""
    request = f"POST /v1/apps/{NOT_READ_APP}/uploads HTTP/1.1\r\nHost: s\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    with contextlib.ExitStack() as stack:
        for _ in range(NEVER_READING_CLIENTS):
            client = stack.enter_context(_connection(world))
            client.setblocking(False)
            client.send(request * PIPELINED_REQUESTS)
        yield


def _connection(world: World) -> socket.socket:
    address = urlsplit(world.running.public)
    assert address.hostname is not None
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    client.connect((address.hostname, address.port))
    return client
