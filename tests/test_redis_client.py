"""The client of a Redis: commands wait for a connection, and a demoted master loses its connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from signer.redis_client import RedisClient
from signer.redis_errors import RedisNotMaster, RedisUnavailable, RedisUnreachable
from signer.redis_url import parse_redis_url
from tests.harness.redis_server import RedisServer, redis_server
from tests.harness.relay import relay
from tests.harness.waiting import DEADLINE_SECONDS


@contextlib.asynccontextmanager
async def client(url: str, *, max_connections: int = 4) -> AsyncIterator[RedisClient]:
    running = RedisClient(parse_redis_url(url), step_seconds=DEADLINE_SECONDS, max_connections=max_connections)
    try:
        yield running
    finally:
        await running.close()


async def put(running: RedisClient, value: str) -> None:
    await running.run(lambda redis: redis.set("key", value), deadline_seconds=DEADLINE_SECONDS)


async def stored(server: RedisServer) -> object:
    async with server.client() as redis:
        return await redis.get("key")


async def test_commands_wait_for_a_free_connection(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, client(server.address, max_connections=2) as running:
        await asyncio.gather(
            *(running.run(lambda redis: redis.incr("n"), deadline_seconds=DEADLINE_SECONDS) for _ in range(500))
        )
        async with server.client() as redis:
            assert await redis.get("n") == b"500"
            clients = await redis.client_list()
    assert len([each for each in clients if each["addr"].startswith("127.0.0.1")]) == 2


async def test_cancelled_commands_leave_their_connections_to_others(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, client(server.address, max_connections=1) as running:

        async def wait_for_ever(redis: Redis) -> None:
            await redis.blpop(["nothing"])

        blocked = asyncio.create_task(running.run(wait_for_ever, deadline_seconds=DEADLINE_SECONDS))
        waiting = [asyncio.create_task(put(running, "never")) for _ in range(10)]
        last = asyncio.create_task(put(running, "last"))
        await asyncio.sleep(0)
        for task in (*waiting, blocked):
            task.cancel()
        await last
        assert await stored(server) == b"last"


async def test_a_command_that_waits_in_vain_ends_at_its_deadline(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, client(server.address, max_connections=1) as running:
        async with server.client() as redis:
            await redis.client_pause(int(DEADLINE_SECONDS) * 1000)
        for deadline_seconds in (0.01, 0.02):
            with pytest.raises(RedisUnavailable, match=f"did not respond within {deadline_seconds} s"):
                await running.run(lambda redis: redis.ping(), deadline_seconds=deadline_seconds)


async def test_a_demoted_master_loses_its_connections(tmp_path: Path) -> None:
    """The address leads to the new master, while the old one keeps its connections open."""
    async with (
        redis_server(tmp_path / "old") as old,
        redis_server(tmp_path / "new") as new,
        relay(old.address) as address,
        client(f"redis://{address.address}/0") as running,
    ):
        await asyncio.gather(*(put(running, "before") for _ in range(4)))
        assert await stored(old) == b"before"
        await old.demote(new)
        with pytest.raises(RedisNotMaster, match="is a replica"):
            await put(running, "rejected")
        address.target = new.address
        await asyncio.gather(*(put(running, "after") for _ in range(4)))
        assert await stored(new) == b"after"


async def test_a_command_that_a_demoted_master_rejects_is_repeated_at_the_new_one(tmp_path: Path) -> None:
    async with (
        redis_server(tmp_path / "old") as old,
        redis_server(tmp_path / "new") as new,
        relay(old.address) as address,
        client(f"redis://{address.address}/0") as running,
    ):
        await put(running, "before")
        await old.demote(new)
        address.target = new.address
        await put(running, "after")
        assert await stored(new) == b"after"


@pytest.mark.parametrize("error", ["MOVED 1 127.0.0.1:1", "ASK 1 127.0.0.1:1", "CLUSTERDOWN x", "NOREPLICAS x"])
async def test_each_response_of_a_wrong_server_closes_all_connections(error: str) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        number = len(connections)
        while data := await reader.read(65536):
            for _ in range(data.count(b"SETINFO")):
                writer.write(b"+OK\r\n")
            if b"PING" in data:
                writer.write(b"+PONG\r\n" if number > 1 else f"-{error}\r\n".encode())
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client(f"redis://127.0.0.1:{port}/0") as running:
        assert await running.run(lambda redis: redis.ping(), deadline_seconds=DEADLINE_SECONDS)
    assert len(connections) == 2


async def test_a_server_that_has_ended_is_reported(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, client(server.address) as running:
        await put(running, "before")
        await server.stop()
        with pytest.raises(RedisUnreachable, match="cannot be reached"):
            await put(running, "lost")
        await server.start()
        await put(running, "after")
        assert await stored(server) == b"after"
