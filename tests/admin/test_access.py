"""The admin token: every route requires it, except the details-free health routes."""

from __future__ import annotations

import pytest

from tests.admin.conftest import APP, APP_WITHOUT_TOKEN, StartAdmin
from tests.harness.http_service import ADAPTERS

TOKEN = "the-token-of-the-operators"
PROTECTED = (
    ("GET", "/metrics"), ("GET", "/status"), ("GET", "/status/status.js"), ("GET", "/-/definitions"),
    ("POST", "/-/reload"), ("GET", "/unknown"), ("GET", "/healthz/"), ("HEAD", "/metrics"),
)  # fmt: skip


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN[:-1]}", "Bearer é", TOKEN]
)
async def test_routes_require_the_token(start_admin: StartAdmin, adapter: str, authorization: str | None) -> None:
    admin = await start_admin(adapter=adapter, token=TOKEN)
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in PROTECTED:
        async with admin.client.request(method, path, headers=headers) as response:
            assert response.status == 401, path
            assert response.headers["WWW-Authenticate"].startswith("Bearer ")
            if method != "HEAD":
                assert (await response.json(content_type=None))["code"] == "unauthenticated"


async def test_probes_need_no_token_and_get_no_details(start_admin: StartAdmin) -> None:
    admin = await start_admin(APP + APP_WITHOUT_TOKEN, token=TOKEN)
    async with admin.client.get("/healthz") as response:
        assert (response.status, await response.text()) == (200, "ok\n")
    assert await admin.get_json("/readyz", 503) == {"ready": False}
    assert await admin.get_json("/readyz?roles=any") == {"ready": True}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_the_token_opens_every_route(start_admin: StartAdmin, scheme: str) -> None:
    admin = await start_admin(APP + APP_WITHOUT_TOKEN, token=TOKEN)
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    for path in ("/healthz", "/metrics", "/status", "/status/status.js", "/-/definitions"):
        async with admin.client.get(path, headers=headers) as response:
            assert response.status == 200, path
            assert TOKEN not in await response.text()
    async with admin.client.get("/readyz", headers=headers) as response:
        assert (response.status, (await response.json())["unusable_roles"]) == (503, ["gone"])
    async with admin.client.get("/unknown", headers=headers) as response:
        assert response.status == 404
