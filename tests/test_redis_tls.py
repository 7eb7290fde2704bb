"""The files of a TLS connection to Redis may hang: the event loop continues, and the command fails in time."""

from __future__ import annotations

import contextlib
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from signer.redis_client import RedisClient
from signer.redis_errors import RedisUnavailable
from signer.redis_url import parse_redis_url
from tests.harness.hanging_directory import hanging_directory
from tests.harness.ports import reserve_port
from tests.harness.redis_sentinel import tls_sentinel
from tests.harness.waiting import DEADLINE_SECONDS, wait_until
from tests.stores.store_servers import redis_store_server
from tests.stores.test_redis import certificate


async def ping(client: RedisClient, *, deadline_seconds: float = DEADLINE_SECONDS) -> bool:
    return await client.run(lambda connected: connected.ping(), deadline_seconds=deadline_seconds)


async def is_up(client: RedisClient) -> bool:
    with contextlib.suppress(RedisUnavailable):
        return await ping(client)
    return False


@pytest.mark.parametrize("with_sentinels", [False, True])
async def test_files_that_hang_delay_nothing_else(with_sentinels: bool, tmp_path: Path) -> None:
    trusted, key = certificate(tmp_path / "tls")
    port = str(reserve_port())
    tls = ("--port", "0", "--tls-port", port, "--tls-cert-file", str(trusted), "--tls-key-file", str(key))
    async with (
        hanging_directory(tmp_path) as mount,
        redis_store_server(tmp_path / "redis", *tls, "--tls-auth-clients", "no", scheme="rediss") as redis,
        tls_sentinel(tmp_path / "sentinel", redis, trusted, key) as sentinel,
    ):
        copy = Path(shutil.copy(trusted, mount.path))
        url = replace(sentinel, ca_certificate=copy).url if with_sentinels else f"{redis.url}&ssl_ca_certs={copy}"
        first, second = (RedisClient(parse_redis_url(url, ["key", "poll"]), max_connections=2) for _ in range(2))
        # It ends the test if the event loop waits for the file.
        responds = threading.Timer(DEADLINE_SECONDS, mount.respond)
        try:
            assert await ping(first)
            mount.hang()
            responds.start()
            with pytest.raises(RedisUnavailable):
                await ping(second, deadline_seconds=0.2)
            assert responds.is_alive()
            assert await ping(first), "an open connection needs no file"
            with pytest.raises(RedisUnavailable, match=r"can(not)? be reached"):
                await ping(second)
            mount.respond()
            await wait_until(lambda: is_up(second))
        finally:
            responds.cancel()
            await first.close()
            await second.close()
