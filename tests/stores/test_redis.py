"""`redis://`, `rediss://`, `unix://`: published edits arrive at once, others by polling; passwords are never shown."""

from __future__ import annotations

import datetime
import ipaddress
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signer.stores.protocol import RevisionConflict, WritableStore
from signer.stores.store_factory import open_store
from tests.harness.ports import reserve_port
from tests.harness.redis_sentinel import tls_sentinel
from tests.harness.signer import signer
from tests.harness.waiting import wait_until
from tests.stores.signer_calls import command, definitions, load_error, serves
from tests.stores.store_servers import RedisStoreServer, redis_store_server

PASSWORD = "hunter2-secret"
NO_POLLING = "poll=1h"
"""With this interval, a signer detects a change only by its message."""


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisStoreServer]:
    async with redis_store_server(tmp_path / "redis", password=PASSWORD) as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "pushed.yaml"


async def push(server: RedisStoreServer, source: Path, text: str) -> None:
    source.write_text(text, encoding="utf-8")
    result = await command("push", source, "--config", server.url)
    assert result.status == 0, result.err
    assert PASSWORD not in result.out + result.err


async def publish(server: RedisStoreServer, text: str) -> float:
    """Write like `push`, without its output; return the time of the monotonic clock."""
    store = open_store(server.url, {})
    assert isinstance(store, WritableStore)
    try:
        await store.save(text, None)
    finally:
        await store.close()
    return time.monotonic()


async def test_two_signers_reload_after_a_publish(
    redis: RedisStoreServer, session: aiohttp.ClientSession, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    redis.options = NO_POLLING
    await push(redis, source, definitions("a"))
    async with signer(session, redis.url) as first, signer(session, redis.url) as second:
        delays = []
        for app in ("b", "c", "d"):
            published = await publish(redis, definitions(app))
            await wait_until(lambda app=app: serves(first, app))  # type: ignore[misc]
            await wait_until(lambda app=app: serves(second, app))  # type: ignore[misc]
            delays.append(time.monotonic() - published)
        assert (await first.last_reload())["revision"] == (await second.last_reload())["revision"]
        with capsys.disabled():
            print(f" [both signers {max(delays):.2f} s after a publish, at most] ", end="")
        assert PASSWORD not in "".join(first.output + second.output)


async def test_polling_detects_an_edit_without_a_message(
    redis: RedisStoreServer, session: aiohttp.ClientSession
) -> None:
    await redis.put(definitions("a"))
    async with signer(session, redis.url) as first, signer(session, redis.url) as second:
        await redis.put(definitions("b"))
        await wait_until(lambda: serves(first, "b"))
        await wait_until(lambda: serves(second, "b"))


async def test_the_subscription_is_renewed_after_a_restart_of_redis(
    redis: RedisStoreServer, session: aiohttp.ClientSession
) -> None:
    redis.options = NO_POLLING
    await redis.put(definitions("a"))
    async with signer(session, redis.url) as running:
        await redis.stop()
        await redis.start()

        async def is_subscribed() -> bool:
            async with redis.client() as client:
                return bool((await client.pubsub_numsub("oss-signer:changed"))[0][1])

        await wait_until(is_subscribed)
        await publish(redis, definitions("b"))
        await wait_until(lambda: serves(running, "b"))


async def test_a_concurrent_change_is_not_overwritten(redis: RedisStoreServer) -> None:
    store = open_store(redis.url, {})
    assert isinstance(store, WritableStore)
    try:
        revision = await store.save(definitions("a"), "")
        assert (await store.load()).revision == revision
        with pytest.raises(RevisionConflict):
            await store.save(definitions("b"), "")
        await redis.put(definitions("c"))
        with pytest.raises(RevisionConflict) as raised:
            await store.save(definitions("b"), revision)
        assert PASSWORD not in str(raised.value)
        assert [*(await store.load()).files.values()] == [definitions("c")]
        await store.save(definitions("b"), None)
        assert [*(await store.load()).files.values()] == [definitions("b")]
    finally:
        await store.close()


async def test_each_failure_has_a_message_without_the_password(redis: RedisStoreServer) -> None:
    at = f"redis://127.0.0.1:{redis.port}/0?key=oss-signer"
    redis.options = ""
    right = redis.url
    async with redis.client() as client:
        await client.lpush("list", "x")
        await client.setrange("large", 17 * 2**20, "x")
        await client.execute_command("ACL", "SETUSER", "ann", "on", f">{PASSWORD}", "+getrange", "~other")  # type: ignore[no-untyped-call]
    wrong = right.replace(PASSWORD, "hunter3-secret")
    for url, message in (
        (right, f"{at}: no such key; push the definitions"),
        (wrong, f"{at}: the Redis user name or password is wrong or missing"),
        (right.replace(f":{PASSWORD}@", ""), f"{at}: the Redis user name or password is wrong or missing"),
        (right.replace("//:", "//ann:"), f"{at}: the Redis user lacks a permission; allow GETRANGE and SUBSCRIBE, "),
        (f"{right}&key=list", at.replace("oss-signer", "list") + ": Redis rejected the command (WRONGTYPE)"),
        (f"{right}&key=large", at.replace("oss-signer", "large") + ": is larger than 16 MiB"),
        (f"{right}&kee=x", "--config redis://...: unknown option 'kee'; use db, key, poll"),
        (f"{right}&poll=x", "poll: not a duration"),
        (f"{right}&poll=1s&poll=1s", "--config redis://...: option 'poll' is repeated; write it once"),
        (f"redis://:{PASSWORD}/1@h:6379/0", "--config redis://...: "),
        (
            f"redis://:1/{PASSWORD}@h:6379/0",
            "--config redis://...: this is not the URL of a Redis; write redis://user:password@host:6379/0",
        ),
        (f"redis://:1?{PASSWORD}@h:6379/0", "--config redis://...: this is not the URL of a Redis; write redis://"),
        (
            f"redis://:1#{PASSWORD}@h:6379/0",
            "--config redis://...: this is not the URL of a Redis; write redis://user:password@host:6379/0",
        ),
    ):
        error = await load_error(url)
        assert error is not None, url
        assert message in error
        assert "hunter" not in error


def certificate(directory: Path) -> tuple[Path, Path]:
    """Return a self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    directory.mkdir()
    files = directory / "redis.crt", directory / "redis.key"
    files[0].write_bytes(built.public_bytes(pem))
    files[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files


async def test_tls_certificates_are_verified(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    trusted, key = certificate(tmp_path / "tls")
    port = str(reserve_port())
    tls = ("--port", "0", "--tls-port", port, "--tls-cert-file", str(trusted), "--tls-key-file", str(key))
    async with redis_store_server(tmp_path / "redis", *tls, "--tls-auth-clients", "no", scheme="rediss") as redis:
        await redis.put(definitions("a"))
        error = await load_error(redis.url)
        assert error is not None
        assert error.endswith("; check that its certificate is trusted")
        redis.options = f"{NO_POLLING}&ssl_ca_certs={trusted}"
        async with signer(session, redis.url) as running:
            await publish(redis, definitions("b"))
            await wait_until(lambda: serves(running, "b"))


async def test_tls_of_sentinels_and_their_master(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    trusted, key = certificate(tmp_path / "tls")
    port = str(reserve_port())
    tls = ("--port", "0", "--tls-port", port, "--tls-cert-file", str(trusted), "--tls-key-file", str(key))
    async with (
        redis_store_server(tmp_path / "redis", *tls, "--tls-auth-clients", "no", scheme="rediss") as redis,
        tls_sentinel(tmp_path / "sentinel", redis, trusted, key) as sentinel,
    ):
        await redis.put(definitions("a"))
        error = await load_error(sentinel.url.partition("?")[0])
        assert error is not None
        assert error.endswith("no sentinel can be reached; check that its certificate is trusted")
        async with signer(session, sentinel.url) as running:
            assert await serves(running, "a")
