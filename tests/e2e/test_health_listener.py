"""`server.health`: an address for load balancers on other machines, with nothing but the health checks."""

from __future__ import annotations

import signal
from pathlib import Path

import aiohttp
import pytest

from tests.harness.http_service import ADAPTERS
from tests.harness.local_cloud import Cloud
from tests.harness.ports import reserve_port
from tests.harness.signer import Signer, entries, signer
from tests.harness.waiting import wait_until

CONFIG = """\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", health: "127.0.0.1:{port}"}}
credentials: {{role: {{type: ecs_ram_role, endpoint: "{metadata}"}}}}
apps: {{a: {{bucket: photos, region: cn-hangzhou, credentials: role, key_prefix: a/}}}}
"""


def health_url(running: Signer) -> str:
    [listening] = [entry for entry in entries(running.output) if entry["message"] == "listening"]
    return str(listening["health"])


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_it_serves_health_checks_and_nothing_else(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path, adapter: str
) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(CONFIG.format(metadata=cloud.metadata, port=0), encoding="utf-8")
    standard = {"OSS_SIGNER_STANDARD_HTTP": "1"} if adapter == "standard" else {}
    async with signer(session, config, environ=standard) as running:
        url = health_url(running)
        for path, body in (
            ("/healthz", "ok\n"),
            ("/readyz", '{"ready":true}'),
            ("/readyz?roles=any", '{"ready":true}'),
        ):
            async with session.get(f"{url}{path}") as response:
                assert (response.status, await response.text()) == (200, body)
            # Load balancers of Alibaba Cloud send HEAD, and the address of the machine as Host.
            async with session.head(f"{url}{path}", headers={"Host": "10.0.0.7:5001"}) as response:
                assert (response.status, await response.read()) == (200, b"")
        for path in ("/", "/metrics", "/status", "/-/definitions", "/generate_signature?app_id=a", "/openapi.json"):
            async with session.get(f"{url}{path}") as response:
                assert response.status == 404, path
        for path in ("/-/reload", "/-/refresh", "/v1/apps/a/uploads"):
            async with session.post(f"{url}{path}") as response:
                assert response.status == 404, path


async def test_a_signer_without_a_token_is_not_ready(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(CONFIG.format(metadata=f"http://127.0.0.1:{reserve_port()}", port=0), encoding="utf-8")
    async with signer(session, config) as running, session.get(f"{health_url(running)}/readyz") as response:
        assert (response.status, await response.text()) == (503, '{"ready":false}')


async def test_the_workers_of_a_machine_share_it(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    config, port = tmp_path / "signer.yaml", reserve_port()
    config.write_text(CONFIG.format(metadata=cloud.metadata, port=port), encoding="utf-8")
    url = f"http://127.0.0.1:{port}/readyz"
    async with signer(session, config, "--worker", "1") as first:
        async with signer(session, config, "--worker", "2") as second:
            second.process.send_signal(signal.SIGTERM)
            await wait_until(lambda: second.process.returncode is not None)
        # Each on a new connection: the kernel chooses a worker for each.
        for _ in range(20):
            async with session.head(url, headers={"Connection": "close"}) as response:
                assert response.status == 200
        assert first.process.returncode is None


async def test_a_taken_address_is_named(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    config = tmp_path / "signer.yaml"
    taken = cloud.oss.rpartition(":")[2]
    config.write_text(CONFIG.format(metadata=cloud.metadata, port=taken), encoding="utf-8")
    with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1:{taken}: .*; set server.health"):
        async with signer(session, config):
            pass
