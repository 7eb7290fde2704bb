"""The error of a failed fetch when STS or the metadata service cannot be reached, with real connections."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import json
import os
import re
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.access_key import AccessKeySource
from signer.credentials.sources.assume_role import AssumeRoleSource
from signer.credentials.sources.credential_source import FetchFailed, Source
from signer.credentials.sources.ecs_ram_role import EcsRamRoleSource
from signer.credentials.sources.sts_call import RoleRequest, Sts
from signer.signing.v4 import Credential
from tests.harness.ports import reserve_port
from tests.https.certificates import Authority

SECRET = "the-access-key-secret"
EXPIRATION = "2030-01-01T00:00:00"


@pytest.fixture
def sdk() -> Iterator[SdkThread]:
    thread = SdkThread()
    yield thread
    thread.close()


def sts(sdk: SdkThread, endpoint: str, deadline_seconds: float = 5) -> Source:
    request = RoleRequest("acs:ram::1:role/r", "oss-signer", timedelta(hours=1))
    key = Credential("LTAI", SECRET)
    return AssumeRoleSource(Sts(sdk, endpoint, deadline_seconds), request, None, AccessKeySource(lambda: key))


def metadata(sdk: SdkThread, endpoint: str, deadline_seconds: float = 5) -> Source:
    return EcsRamRoleSource(sdk=sdk, endpoint=endpoint, role_name="r", deadline_seconds=deadline_seconds)


async def reason_of(source: Source) -> str:
    """Return why a fetch fails, as every role of the endpoint would report it."""
    with pytest.raises(FetchFailed) as failed:
        await source.fetch()
    assert failed.value.concerns_issuer
    assert SECRET not in str(failed.value)
    assert "Error" not in str(failed.value)
    return str(failed.value)


@contextlib.asynccontextmanager
async def responding(body: str, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve one response to every request, and yield the host and port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
            await writer.drain()

    server = await asyncio.start_server(handle, host, 0, ssl=tls)
    try:
        address = server.sockets[0].getsockname()
        yield f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
    finally:
        server.close()


def issued(expiration: str = f"{EXPIRATION}Z") -> str:
    key = {"AccessKeyId": "STS.x", "AccessKeySecret": "s", "SecurityToken": "t", "Expiration": expiration}
    return json.dumps({"RequestId": "1", "Credentials": key, "Code": "Success", **key})


@contextlib.asynccontextmanager
async def serving(
    authority: Authority, tmp_path: Path, name: str = "127.0.0.1", *, ends: timedelta = timedelta(days=1)
) -> AsyncIterator[str]:
    """Serve HTTPS with a certificate of this authority, and yield the host and port."""
    certificate = authority.issue((name,), starts=-timedelta(days=2), ends=ends)
    (file := tmp_path / "certificate.pem").write_text(certificate.chain + certificate.key, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    async with responding(issued(), tls=context) as address:
        yield address


async def test_no_such_host(sdk: SdkThread) -> None:
    reason = await reason_of(sts(sdk, "http://sts.no-such-region.invalid"))
    assert re.match(r"(no such host: sts\.no-such-region\.invalid|no DNS server responds for sts\.no-such-r)", reason)
    assert "endpoint" in reason or "resolv.conf" in reason


async def test_a_refused_connection(sdk: SdkThread) -> None:
    port = reserve_port()
    for source, service in ((sts, "STS"), (metadata, "the metadata service")):
        reason = await reason_of(source(sdk, f"http://127.0.0.1:{port}"))
        assert reason == f"{service} at 127.0.0.1:{port} refused the connection; check the endpoint and its port"


async def test_an_untrusted_certificate_and_whose_it_is(sdk: SdkThread, tmp_path: Path) -> None:
    async with serving(Authority(), tmp_path) as address:
        reason = await reason_of(sts(sdk, f"https://{address}"))
    expected = f"the certificate of STS at {address} is not trusted, issued by CN=Test intermediate: "
    assert reason.startswith(expected)
    assert "unable to get local issuer certificate" in reason


async def test_an_authority_that_is_added_is_trusted_at_the_next_attempt(
    sdk: SdkThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the certificate of another host, and an expired one, are refused for these reasons."""
    authority = Authority()
    async with serving(authority, tmp_path) as address:
        assert "not trusted" in await reason_of(sts(sdk, f"https://{address}"))
        (tmp_path / "root.pem").write_text(authority.root_pem, encoding="ascii")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
        assert (await sts(sdk, f"https://{address}").fetch()).access_key_id == "STS.x"
    async with serving(authority, tmp_path, "other.example") as address:
        assert "certificate is not valid for '127.0.0.1'" in await reason_of(sts(sdk, f"https://{address}"))
    async with serving(authority, tmp_path, ends=-timedelta(hours=1)) as address:
        assert "certificate has expired" in await reason_of(sts(sdk, f"https://{address}"))


async def test_a_port_that_does_not_speak_tls(sdk: SdkThread) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        reason = await reason_of(sts(sdk, f"https://{address}"))
    assert reason.startswith(f"the TLS handshake with STS at {address} failed (wrong version number); check its port")


async def test_a_timeout(sdk: SdkThread) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert await reason_of(sts(sdk, f"http://{address}", 0.3)) in (
            f"STS at {address} timed out: no response",
            f"STS at {address} timed out: no response within 0.3 s",
        )
        assert "timed out" in await reason_of(metadata(sdk, f"http://{address}", 0.3))


async def test_no_free_descriptor(sdk: SdkThread) -> None:
    """The names of hosts are not resolved either, and this is not the fault of DNS."""
    async with responding(issued()) as address:
        await sts(sdk, f"http://{address}").fetch()
        used = max(int(file.name) for file in Path("/proc/self/fd").iterdir())
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        fillers: list[socket.socket] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 10, hard))
        try:
            for endpoint in (f"http://{address}", "http://localhost:1", "http://sts.cn-nowhere.invalid"):
                # A collection of garbage of earlier tests may have closed one meanwhile.
                gc.collect()
                with contextlib.suppress(OSError):
                    while True:
                        fillers.append(socket.socket())
                reason = await reason_of(sts(sdk, endpoint))
                assert reason.startswith("no file descriptor is free for a connection to STS at "), reason
                assert "LimitNOFILE" in reason
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for filler in fillers:
                filler.close()


async def test_no_free_descriptor_for_the_thread_of_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> asyncio.AbstractEventLoop:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(asyncio, "new_event_loop", fail)
    thread = SdkThread()
    assert "too many open files" in await reason_of(sts(thread, "http://127.0.0.1:1"))
    thread.close()


async def test_ipv6_endpoints(sdk: SdkThread) -> None:
    async with responding(issued(), host="::1") as address:
        for source in (sts, metadata):
            assert (await source(sdk, f"http://{address}").fetch()).access_key_id == "STS.x"
    assert f"STS at {address} refused the connection" in await reason_of(sts(sdk, f"http://{address}"))


@pytest.mark.parametrize("text", [f"{EXPIRATION}Z", EXPIRATION, "2030-01-01T08:00:00+08:00"])
async def test_an_expiration_without_a_time_zone_is_in_utc(sdk: SdkThread, text: str) -> None:
    async with responding(issued(text)) as address:
        credential = await sts(sdk, f"http://{address}").fetch()
    assert credential.expiration == datetime(2030, 1, 1, tzinfo=UTC)


async def test_an_expiration_that_is_no_time_is_refused_by_name(sdk: SdkThread) -> None:
    async with responding(issued("soon")) as address:
        for source in (sts, metadata):
            assert "Expiration" in await reason_of(source(sdk, f"http://{address}"))
    async with responding(issued(EXPIRATION)) as address:
        assert "Expiration" in await reason_of(metadata(sdk, f"http://{address}"))
