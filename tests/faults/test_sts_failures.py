"""Each way in which STS cannot be reached has its words in /readyz and in the log, and stops only its own roles."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest

from tests.faults.many_roles import write_definitions
from tests.harness.local_cloud import local_cloud
from tests.harness.ports import reserve_port
from tests.harness.signer import LISTENING, signer
from tests.harness.waiting import wait_until
from tests.https.certificates import Authority

pytestmark = pytest.mark.slow


async def test_each_failure_is_named(tmp_path: Path) -> None:
    certificate = Authority().issue(("127.0.0.1",))
    (file := tmp_path / "certificate.pem").write_text(certificate.chain + certificate.key, encoding="ascii")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        cloud = await stack.enter_async_context(local_cloud(session))
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        untrusted = await stack.enter_async_context(
            await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=tls)
        )
        silent_port, tls_port = silent.getsockname()[1], untrusted.sockets[0].getsockname()[1]
        closed_port = reserve_port()
        words = {
            "unknown": ("http://sts.no-such-region.invalid", "sts.no-such-region.invalid"),
            "refusing": (f"http://127.0.0.1:{closed_port}", f"STS at 127.0.0.1:{closed_port} refused the connection"),
            "silent": (f"http://127.0.0.1:{silent_port}", "timed out"),
            "untrusted": (
                f"https://127.0.0.1:{tls_port}",
                f"the certificate of STS at 127.0.0.1:{tls_port} is not trusted, issued by CN=Test intermediate",
            ),
            "ipv6": (f"http://[::1]:{closed_port}", f"STS at [::1]:{closed_port} "),
        }
        endpoints = {name: (endpoint, 1) for name, (endpoint, _) in words.items()} | {"healthy": (cloud.sts, 1)}
        config = write_definitions(tmp_path, endpoints, timeout="2s")
        running = await stack.enter_async_context(signer(session, config, wait_for=LISTENING))
        assert await running.upload_status("healthy0") == 201

        async def errors() -> dict[str, str] | None:
            _, body = await running.readiness()
            found = {role["role"].partition("/")[0]: role["last_error"] for role in body["roles"]}
            assert found.pop("healthy") is None
            return found if all(found.values()) else None

        found = await wait_until(errors)
        print("\n".join(found.values()))
        for name, (_, expected) in words.items():
            assert expected in found[name], found[name]
        assert "no such host" in found["unknown"] or "no DNS server responds" in found["unknown"]
        assert await running.upload_status("healthy0") == 201
        await running.stop()
    assert "RetryError" not in "".join(running.output)
