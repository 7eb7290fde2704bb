"""Every route requires the admin token, except probes; without a token, no web page of another origin gets in."""

from __future__ import annotations

import pytest

from tests.admin.conftest import APP, APP_WITHOUT_TOKEN, StartAdmin
from tests.harness.http_service import ADAPTERS

TOKEN = "the-token-of-the-operators"
PROTECTED = (
    ("GET", "/metrics"), ("GET", "/status"), ("GET", "/status/status.js"), ("GET", "/-/definitions"),
    ("POST", "/-/reload"), ("POST", "/-/refresh"), ("GET", "/unknown"), ("GET", "/healthz/"), ("HEAD", "/metrics"), ("GET", "/-/events"),
    ("POST", "/-/events/retry"), ("POST", "/-/events/drop"),
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


ROUTES = (
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/status"), ("GET", "/status/status.js"),
    ("GET", "/-/definitions"), ("POST", "/-/reload"), ("POST", "/-/refresh"), ("GET", "/unknown"), ("HEAD", "/readyz"), ("GET", "/-/events"),
    ("POST", "/-/events/retry"), ("POST", "/-/events/drop"),
)  # fmt: skip


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:9180"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "evil.example:127.0.0.1"},
        {"Host": "127.0.0.1@evil.example"},
        {"Host": "192.0.2.7:9180"},
        {"Host": "[2001:db8::1]:9180"},
        {"Host": ""},
        {"Host": "127.0.0.1:9180", "Origin": "https://evil.example"},
        {"Host": "127.0.0.1:9180", "Origin": "http://127.0.0.1:3000"},
        {"Host": "127.0.0.1:9180", "Origin": "http://localhost:9180"},
        {"Host": "127.0.0.1:9180", "Origin": "null"},
        {"Host": "127.0.0.1:9180", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_without_a_token_web_pages_of_other_origins_are_refused(
    start_admin: StartAdmin, adapter: str, headers: dict[str, str]
) -> None:
    admin = await start_admin(adapter=adapter)
    admin.edit(APP.replace("1MiB", "2MiB"))
    for method, path in ROUTES:
        async with admin.client.request(method, path, headers=headers) as response:
            assert response.status == 403, path
            if method != "HEAD":
                problem = await response.json(content_type=None)
                assert problem["code"] == "forbidden" and "set server.admin_token" in problem["detail"]
    assert "2MiB" not in await (await admin.client.get("/-/definitions")).text()


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:9180"},
        {"Host": "127.8.8.8"},
        {"Host": "[::1]:9180"},
        {"Host": "LOCALHOST:9180"},
        {"Host": "localhost", "Origin": "http://localhost"},
        {"Host": "127.0.0.1:9180", "Origin": "http://127.0.0.1:9180", "Sec-Fetch-Site": "same-origin"},
        {"Host": "127.0.0.1:9180", "Sec-Fetch-Site": "none"},
    ],
)
async def test_without_a_token_programs_and_the_own_page_get_in(
    start_admin: StartAdmin, adapter: str, headers: dict[str, str]
) -> None:
    admin = await start_admin(adapter=adapter)
    for method, path in ROUTES:
        async with admin.client.request(method, path, headers=headers) as response:
            # This signer has no callback queue.
            is_missing = path == "/unknown" or path.startswith("/-/events")
            assert response.status == (404 if is_missing else 200), path


async def test_with_a_token_any_host_and_origin_gets_in(start_admin: StartAdmin) -> None:
    admin = await start_admin(token=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "signer.example", "Origin": "https://ops.example"}
    async with admin.client.get("/status", headers=headers) as response:
        assert response.status == 200
