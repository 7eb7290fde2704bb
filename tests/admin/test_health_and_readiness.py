"""/healthz and /readyz, with GET and with HEAD, which Alibaba's load balancers send."""

from __future__ import annotations

import socket
import time
from datetime import timedelta

import pytest

from signer.clock import utc_now
from signer.credentials.clock_skew import ServerDate
from signer.definitions.parser import parse
from tests.admin.conftest import APP, APP_WITHOUT_TOKEN, DEFINITIONS, StartAdmin
from tests.harness.http_service import ADAPTERS


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_healthz_responds(start_admin: StartAdmin, adapter: str) -> None:
    admin = await start_admin(adapter=adapter)
    async with admin.client.get("/healthz") as response:
        assert (response.status, await response.text()) == (200, "ok\n")


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(("apps", "status"), [(APP, 200), (APP + APP_WITHOUT_TOKEN, 503)])
async def test_head_has_the_status_of_get_and_no_body(
    start_admin: StartAdmin, adapter: str, apps: str, status: int
) -> None:
    admin = await start_admin(apps, adapter=adapter)
    async with admin.client.head("/readyz") as response:
        assert (response.status, await response.read()) == (status, b"")
    for path in ("/healthz", "/metrics", "/status", "/status/status.css", "/-/definitions"):
        async with admin.client.head(path) as response:
            assert (response.status, await response.read()) == (200, b""), path


async def test_readyz_is_ready_with_a_token_for_each_role(start_admin: StartAdmin) -> None:
    document = await (await start_admin()).get_json("/readyz")
    assert document["ready"] is True
    assert (document["apps"], document["unusable_roles"]) == (1, [])
    assert (document["usable_roles"], document["pending_roles"]) == (1, 0)
    assert document["clock"] == {"state": "good", "skew_seconds": 0.0}
    [role] = document["roles"]
    assert (role["role"], role["state"], role["usable"], role["last_error"]) == ("good", "fresh", True, None)
    assert (role["expires_at"], role["expires_in_seconds"]) == (None, None)


async def test_readyz_names_the_role_without_a_token(start_admin: StartAdmin) -> None:
    admin = await start_admin(APP + APP_WITHOUT_TOKEN)
    document = await admin.get_json("/readyz", 503)
    assert (document["ready"], document["unusable_roles"]) == (False, ["gone"])
    assert (document["usable_roles"], document["pending_roles"]) == (1, 0)
    [broken] = [role for role in document["roles"] if role["role"] == "gone"]
    assert (broken["state"], broken["usable"]) == ("unusable", False)
    assert broken["last_error"] and broken["next_attempt_at"]


async def test_any_role_is_enough_on_request(start_admin: StartAdmin) -> None:
    admin = await start_admin(APP + APP_WITHOUT_TOKEN)
    assert (await admin.get_json("/readyz?roles=any"))["ready"] is True
    await admin.get_json("/readyz?roles=all", 503)


async def test_any_role_is_not_enough_if_no_role_has_a_token(start_admin: StartAdmin) -> None:
    await (await start_admin(APP_WITHOUT_TOKEN)).get_json("/readyz?roles=any", 503)


async def test_readyz_is_not_ready_with_a_wrong_clock(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    now = time.monotonic()
    admin.service.clock_skew.observe(ServerDate("sts", utc_now() - timedelta(hours=1), now, now))
    for path in ("/readyz", "/readyz?roles=any"):
        assert (await admin.get_json(path, 503))["clock"]["state"] == "wrong"


async def test_the_root_leads_to_the_status_page(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    async with admin.client.get("/", headers={"Accept": "text/html"}) as response:
        assert (response.status, response.url.path, response.content_type) == (200, "/status", "text/html")


async def test_a_role_whose_first_fetch_has_not_ended_is_pending(start_admin: StartAdmin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        admin = await start_admin()
        text = (DEFINITIONS + APP + APP_WITHOUT_TOKEN).replace("127.0.0.1:1", f"127.0.0.1:{silent.getsockname()[1]}")
        await admin.service.activate(parse({"signer.yaml": text}, {}), settle_seconds=0)
        document = await admin.get_json("/readyz", 503)
        assert (document["usable_roles"], document["pending_roles"], document["unusable_roles"]) == (1, 1, ["gone"])
        [role] = [role for role in document["roles"] if role["role"] == "gone"]
        assert (role["state"], role["pending"], role["last_error"]) == ("unusable", True, None)
        await admin.get_json("/readyz?roles=any")
        assert ">pending<" in await admin.page()
        assert (await admin.get_json("/status"))["troubles"] == []
