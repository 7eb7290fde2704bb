"""The SDK thread, and the sources that use it, against servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from signer.credentials.clock_skew import ServerDate
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.access_key import AccessKeySource
from signer.credentials.sources.assume_role import AssumeRoleSource
from signer.credentials.sources.credential_source import FetchFailed, Source
from signer.credentials.sources.ecs_ram_role import EcsRamRoleSource
from signer.credentials.sources.sts_call import RoleRequest, Sts
from signer.signing.v4 import Credential

SECRET = "the-access-key-secret"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def sdk() -> Iterator[SdkThread]:
    thread = SdkThread()
    yield thread
    thread.close()


@contextlib.asynccontextmanager
async def server(handle: Handler) -> AsyncIterator[str]:
    async def close_after(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        finally:
            writer.close()

    running = await asyncio.start_server(close_after, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    finally:
        running.close()


def answer(status: str, body: str, content_type: str = "application/json") -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        writer.write((head + "Connection: close\r\n\r\n" + body).encode())
        await writer.drain()

    return handle


def sources(sdk: SdkThread, endpoint: str, deadline_seconds: float = 5) -> list[Source]:
    assumption = RoleRequest("acs:ram::1:role/r", "oss-signer", timedelta(hours=1))
    key = Credential("LTAI", SECRET)
    return [
        EcsRamRoleSource(sdk=sdk, endpoint=endpoint, role_name="r", deadline_seconds=deadline_seconds),
        AssumeRoleSource(Sts(sdk, endpoint, deadline_seconds), assumption, None, AccessKeySource(lambda: key)),
    ]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", "{"),
        ("200 OK", "[]"),
        ("200 OK", "{}"),
        ("200 OK", '{"Credentials": {}}'),
        ("200 OK", '{"Credentials": {"AccessKeyId": "a", "Expiration": "soon"}}'),
        ("200 OK", '{"Code": "Success", "Expiration": "soon"}'),
        ("403 Forbidden", '{"Code": "NoPermission", "Message": "no"}'),
        ("400 Bad Request", '{"Code": "Throttling.User", "Message": "slow down"}'),
        ("500 Internal Server Error", '{"Code": "InternalError", "Message": "oh"}'),
        ("502 Bad Gateway", "<html>"),
    ],
)
async def test_every_bad_response_fails_without_a_secret_in_the_text(sdk: SdkThread, status: str, body: str) -> None:
    async with server(answer(status, body)) as endpoint:
        for source in sources(sdk, endpoint):
            with pytest.raises(FetchFailed) as failed:
                await source.fetch()
            assert str(failed.value)
            assert SECRET not in str(failed.value)
            assert failed.value.__cause__ is None


@pytest.mark.parametrize(
    ("status", "metadata", "sts"),
    [
        ("403 Forbidden", "returned no metadata token .403.; ECS console", "not from STS"),
        ("404 Not Found", "issues no metadata token .404.: it has only the normal mode", "not from STS"),
        ("405 Method Not Allowed", "does not accept PUT for a metadata token .405.: there is a proxy", "not from STS"),
        ("502 Bad Gateway", "status 502", "not from STS"),
    ],
)
async def test_an_error_names_its_likely_cause(sdk: SdkThread, status: str, metadata: str, sts: str) -> None:
    async with server(answer(status, "<html>")) as endpoint:
        for source, words in zip(sources(sdk, endpoint), (metadata, sts), strict=True):
            with pytest.raises(FetchFailed, match=words):
                await source.fetch()


async def test_expired_credentials_and_dropped_connections_have_texts_of_their_own(sdk: SdkThread) -> None:
    ended = {
        "Code": "Success",
        "AccessKeyId": "STS.x",
        "AccessKeySecret": "s",
        "SecurityToken": "t",
        "Expiration": "2020-01-01T00:00:00Z",
    }
    async with server(answer("200 OK", json.dumps(ended))) as endpoint:
        with pytest.raises(FetchFailed, match="has expired; check the clocks"):
            await sources(sdk, endpoint)[0].fetch()

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with server(drop) as endpoint:
        for source in sources(sdk, endpoint):
            with pytest.raises(FetchFailed, match="closed the connection without a response"):
                await source.fetch()


async def test_a_slow_response_ends_at_the_deadline(sdk: SdkThread) -> None:
    """The SDKs have a timeout between bytes, but none for the whole response."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)

    async with server(drip) as endpoint:
        for source in sources(sdk, endpoint, deadline_seconds=0.3):
            with pytest.raises(FetchFailed, match=r"no response within 0\.3 s"):
                await source.fetch()


async def test_the_thread_starts_with_the_first_call_and_ends_when_closed() -> None:
    async def nothing() -> None: ...

    before = threading.active_count()
    thread = SdkThread()
    assert threading.active_count() == before
    await thread.run(nothing, deadline_seconds=5, service="STS")
    assert threading.active_count() == before + 1
    thread.close()
    assert threading.active_count() == before
    thread.close()


async def test_the_date_of_an_error_response_is_observed_once_in_each_thread() -> None:
    async def reject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = "HTTP/1.1 403 Forbidden\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
        await writer.drain()

    async with server(reject) as endpoint:
        for _ in range(2):
            observed: list[ServerDate] = []
            thread = SdkThread(observed.append)
            with pytest.raises(FetchFailed):
                await sources(thread, endpoint)[1].fetch()
            thread.close()
            [date] = observed
            assert date.date == datetime(2026, 1, 1, tzinfo=UTC)
            assert date.server == endpoint.removeprefix("http://")
