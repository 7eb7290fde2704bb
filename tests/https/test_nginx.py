"""The nginx site of deploy/nginx before two signers, one on a port and one on a Unix socket."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.revisions import HEAD, app
from tests.harness.processes import run
from tests.harness.programs import require_program
from tests.harness.relay import Relay, relay
from tests.harness.signer import Signer, signer
from tests.harness.waiting import DEADLINE_SECONDS, wait_until
from tests.https.certificates import Authority, Certbot
from tests.https.nginx import Nginx, nginx

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEFINITIONS = f"""{HEAD}apps:
{app(1)}  limited: {{rate_limit: {{per_address: 2/h}}}}
"""


@dataclass
class Site:
    """nginx with its two signers."""

    nginx: Nginx
    workers: tuple[Signer, Signer]
    relay: Relay
    client_context: ssl.SSLContext
    root: Path

    def session(self, address: str = "127.0.0.2") -> aiohttp.ClientSession:
        """Return the session of a client at an address of its own."""
        connector = aiohttp.TCPConnector(ssl=self.client_context, local_addr=(address, 0))
        return aiohttp.ClientSession(self.nginx.https, connector=connector)

    async def curl(self, *arguments: str) -> str:
        ended = await run(require_program("curl"), "-sS", "--cacert", self.root, *arguments)
        return ended.out

    async def log_entry(self, request_id: str) -> dict[str, Any]:
        """Return the log entry of a request, once a signer has logged it."""

        def entry() -> dict[str, Any] | None:
            found = [each for worker in self.workers for each in worker.log() if each.get("request_id") == request_id]
            return found[0] if found else None

        return await wait_until(entry)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    root = tmp_path_factory.mktemp("nginx")
    authority, files = Authority(), Certbot(root)
    files.renew(authority.issue())
    (root / "root.pem").write_text(authority.root_pem, encoding="ascii")
    by_port, by_socket = root / "by-port.yaml", root / "by-socket.yaml"
    by_port.write_text(DEFINITIONS.replace("server: {", "server: {trusted_proxies: [127.0.0.1/32], "), encoding="utf-8")
    by_socket.write_text(DEFINITIONS.replace('"127.0.0.1:0"', f'"unix:{root}/public.sock"', 1), encoding="utf-8")
    (prefix := root / "prefix").mkdir()
    async with (
        aiohttp.ClientSession() as session,
        signer(session, by_port) as first,
        signer(session, by_socket) as second,
        relay(first.public) as between,
        nginx(prefix, [between.address, second.public], files) as running,
    ):
        yield Site(running, (first, second), between, authority.client_context(), root / "root.pem")
        warnings = [line for line in running.errors if "buffered to a temporary file" in line]
        assert warnings == []


async def test_both_signers_return_forms_over_https_and_http_is_redirected(site: Site) -> None:
    async with site.session() as session:
        for _ in range(4):
            async with session.post("/v1/apps/a/uploads", json={"filename": "a.jpg"}) as response:
                assert response.status == 201, await response.text()
                await site.log_entry(response.headers["X-Request-Id"])
        async with session.get("/generate_signature", params={"app_id": "a"}) as response:
            assert response.status == 200
    assert all(any('"/v1/apps/a/uploads"' in line for line in worker.output) for worker in site.workers)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{site.nginx.http}/v1/apps/a/uploads?a=b", allow_redirects=False) as response,
    ):
        assert (response.status, response.headers["Location"]) == (308, "https://127.0.0.1/v1/apps/a/uploads?a=b")


async def test_a_client_is_limited_by_its_real_address(site: Site) -> None:
    for claimed in ("10.9.8.", ""):
        async with site.session("127.0.0.3" if claimed else "127.0.0.4") as session:
            statuses = []
            for number in range(6):
                # Each of the two signers counts by itself, and allows two.
                headers = {"X-Forwarded-For": f"{claimed}{number}"} if claimed else {}
                async with session.post("/v1/apps/limited/uploads", json={}, headers=headers) as response:
                    statuses.append(response.status)
            assert statuses == [201] * 4 + [429] * 2


async def test_connections_to_the_signers_are_reused(site: Site) -> None:
    before = len(site.relay.arrivals)
    requests = len(site.workers[0].output)
    async with site.session() as session:
        for _ in range(30):
            async with session.post("/v1/apps/a/uploads", json={}) as response:
                assert response.status == 201
        await site.log_entry(response.headers["X-Request-Id"])
    await wait_until(lambda: len(site.workers[0].output) - requests >= 10)
    assert len(site.relay.arrivals) - before <= 1


async def test_a_valid_request_id_is_forwarded(site: Site) -> None:
    async with site.session() as session:
        for request_id, kept in (("from-the-phone-1234", True), ("a b", False), ("x" * 65, False)):
            async with session.post("/v1/apps/a/uploads", json={}, headers={"X-Request-Id": request_id}) as response:
                request_ids = response.headers.getall("X-Request-Id")
            assert len(request_ids) == 1 and (request_ids[0] == request_id) == kept
            await site.log_entry(request_ids[0])
            [line] = [each for each in site.nginx.logged() if each["request_id"] == request_ids[0]]
            assert (line["address"], line["path"], line["status"]) == ("127.0.0.2", "/v1/apps/a/uploads", 201)


@pytest.mark.parametrize(
    "path",
    [
        "/healthz", "/readyz", "/metrics", "/status", "/-/definitions", "/-/reload", "/-/refresh", "/openapi.json", "/",
        "/v1/../metrics", "/v1/..%2fmetrics", "/v1//../status", "/generate_signature/../healthz",
    ],
)  # fmt: skip
async def test_only_the_public_routes_are_reachable(site: Site, path: str) -> None:
    for method in ("GET", "POST"):
        output = await site.curl(
            "--path-as-is", "-X", method, "-w", "\n%{http_code} %{content_type}", site.nginx.https + path
        )
        body, _, last = output.rpartition("\n")
        assert last == "404 application/problem+json"
        assert json.loads(body)["code"] == "not_found"


async def test_a_body_above_the_size_limit_is_rejected(site: Site) -> None:
    async with site.session() as session:
        async with session.post("/v1/apps/a/uploads", data=b" " * 70_000) as response:
            problem = await response.json()
            assert (response.status, problem["code"]) == (413, "too_large")
            assert response.headers["X-Request-Id"] == problem["request_id"]
        async with session.post("/v1/apps/a/uploads", data=b" " * 65_000 + b"{}") as response:
            assert response.status == 201, await response.text()


@pytest.mark.parametrize("resource", ["downloads", "multipart/complete", "multipart/s3"])
async def test_lists_of_keys_and_parts_reach_a_signer(site: Site, resource: str) -> None:
    async with site.session() as session:
        async with session.post(f"/v1/apps/a/{resource}", data=b"x" * 200_000) as response:
            problem = await response.json()
            assert (response.status, problem["code"]) == (400, "invalid_request")
        await site.log_entry(problem["request_id"])


async def test_a_slow_body_times_out_before_it_reaches_a_signer(site: Site) -> None:
    parts = urlsplit(site.nginx.https)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=site.client_context)
    writer.write(
        b"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: x\r\nX-Request-Id: too-slow-1234\r\nContent-Length: 99\r\n\r\n{"
    )
    async with asyncio.timeout(DEADLINE_SECONDS):
        output = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert output == b"" or output.startswith(b"HTTP/1.1 408")
    async with site.session() as session:
        for _ in site.workers:
            async with session.post("/v1/apps/a/uploads", json={}) as response:
                await site.log_entry(response.headers["X-Request-Id"])
    assert not any("too-slow-1234" in line for worker in site.workers for line in worker.output)


async def test_nginx_speaks_http_2(site: Site) -> None:
    url = f"{site.nginx.https}/v1/apps/a/uploads"
    output = await site.curl("--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "-X", "POST", url)
    assert output == "2 201"


async def test_one_dead_signer_fails_no_request_and_two_give_503(site: Site) -> None:
    """The last test of this file, because it ends the signers."""
    first, second = site.workers
    async with site.session() as session:
        first.process.kill()
        for _ in range(20):
            async with session.post("/v1/apps/a/uploads", json={}) as response:
                assert response.status == 201, await response.text()
        await first.process.wait()
        second.process.kill()
        await second.process.wait()
        async with session.post("/v1/apps/a/uploads", json={}) as response:
            problem = await response.json()
            assert (response.status, response.headers["Retry-After"], problem["code"]) == (503, "2", "unavailable")
