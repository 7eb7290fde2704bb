"""Invalid requests: each gets its problem code, none a 500, and no response or log contains a secret."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.signer import LOCAL_ENVIRON, Signer, signer

pytestmark = pytest.mark.asyncio(loop_scope="module")
module_fixture = functools.partial(pytest_asyncio.fixture, loop_scope="module")

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}
KEY = "team-key"


@module_fixture(scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@module_fixture(scope="module")
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session) as running:
        yield running


@module_fixture(scope="module")
async def config(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    await cloud.create_bucket("photos")
    config = tmp_path_factory.mktemp("bad") / "signer.yaml"
    config.write_text(
        f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  r: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}
  s: {{type: assume_role, endpoint: "{cloud.sts}"}}
defaults: {{region: cn-hangzhou, credentials: r, max_size: 1MiB, key_prefix: '', bucket: photos, domain: "{cloud.oss}/photos"}}
apps:
  a: {{key_prefix: a/, cors_origins: [https://h5.example.com]}}
  s: {{credentials: s}}
  off: {{enabled: false}}
  typed: {{content_types: [image/jpeg, image/png]}}
  named: {{key_prefix: n/, key: "{{filename}}"}}
  forms-only: {{generate_signature: false}}
  slow: {{rate_limit: {{per_app: 2/h}}}}
  team:
    key_prefix: users/{{caller}}/
    callers: {{type: api_key, keys: {{backend: {sha256(KEY.encode()).hexdigest()}}}}}
""",
        encoding="utf-8",
    )
    return config


@module_fixture(scope="module")
async def running(session: aiohttp.ClientSession, config: Path) -> AsyncIterator[Signer]:
    async with signer(session, config) as started:
        yield started


async def assert_problem(
    session: aiohttp.ClientSession, method: str, url: str, status: int, code: str, **request: Any
) -> dict[str, Any]:
    async with session.request(method, url, **request) as response:
        body: dict[str, Any] = await response.json(content_type="application/problem+json")
        assert (response.status, body["code"], body["status"]) == (status, code, status), body
        assert set(body) - {"retry_after"} == PROBLEM_MEMBERS
        assert str(body.get("retry_after", "")) == response.headers.get("Retry-After", "")
        assert response.headers["X-Request-Id"] == body["request_id"]
        assert response.headers["Cache-Control"] == "no-store"
        return {**body, "headers": response.headers}


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "request_"),
    [
        ("GET", "/generate_signature", 400, "invalid_request", {}),
        ("GET", "/generate_signature?app_id=unknown", 404, "unknown_app", {}),
        ("GET", "/generate_signature", 404, "unknown_app", {"headers": {"X-App-Id": "unknown"}}),
        (
            "GET",
            "/generate_signature",
            404,
            "unknown_app",
            {"headers": {"Referer": "https://servicewechat.com/wx0/1/page-frame.html"}},
        ),
        ("GET", "/generate_signature?app_id=off", 403, "app_disabled", {}),
        ("GET", "/generate_signature?app_id=forms-only", 403, "forbidden", {}),
        ("GET", "/generate_signature?app_id=a&size=many", 400, "invalid_request", {}),
        ("GET", "/generate_signature?app_id=a&size=1048577", 413, "too_large", {}),
        ("GET", "/generate_signature?app_id=typed&content_type=text/html", 415, "unsupported_type", {}),
        ("GET", "/generate_signature?app_id=named&filename=" + "n" * 1025, 400, "invalid_request", {}),
        ("POST", "/generate_signature?app_id=a", 405, "method_not_allowed", {}),
        ("GET", "/v1/apps/a/uploads", 405, "method_not_allowed", {}),
        ("GET", "/nowhere", 404, "not_found", {}),
        ("POST", "/v1/apps/unknown/uploads", 404, "unknown_app", {"json": {}}),
        ("POST", "/v1/apps/off/uploads", 403, "app_disabled", {"json": {}}),
        ("POST", "/v1/apps/team/uploads", 401, "unauthenticated", {"json": {}}),
        ("POST", "/v1/apps/team/uploads", 401, "unauthenticated", {"headers": {"X-Api-Key": "wrong"}}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"data": b"{"}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"data": b"\xff\xfe"}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"data": b'{"filename": "\\ud800"}'}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"data": b"[" * 10_000}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"json": []}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"json": {"filename": 1}}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"json": {"size": "1"}}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"json": {"size": -1}}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"json": {"size": 0}}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"json": {"contentType": "image/png"}}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"json": {"content_type": "image/png\r\nX: y"}}),
        ("POST", "/v1/apps/a/uploads", 400, "invalid_request", {"json": {"vars": {"a": "b"}}}),
        ("POST", "/v1/apps/a/uploads", 413, "too_large", {"json": {"size": 2**20 + 1}}),
        ("POST", "/v1/apps/a/uploads", 413, "too_large", {"data": b" " * 70_000}),
        ("POST", "/v1/apps/typed/uploads", 415, "unsupported_type", {"json": {"content_type": "text/html"}}),
        ("POST", "/v1/apps/typed/uploads", 400, "invalid_request", {"json": {}}),
        ("POST", "/v1/apps/named/uploads", 400, "invalid_request", {"json": {}}),
    ],
)
async def test_an_invalid_request_gets_its_problem_code(
    method: str,
    path: str,
    status: int,
    code: str,
    request_: dict[str, Any],
    running: Signer,
    session: aiohttp.ClientSession,
) -> None:
    await assert_problem(session, method, running.public + path, status, code, **request_)
    assert not any(json.loads(line).get("status") == 500 for line in running.output)


@pytest.mark.parametrize(
    "filename",
    [
        "../../etc/passwd",
        "..",
        "/etc/passwd",
        "\\\\host\\share",
        "a\r\nX-Evil: 1",
        "a\x00b.jpg",
        "\u202egpj.exe",
        "${filename}",
        "n" * 1024,
        "😀" * 400 + ".png",
        "é" * 512,
        ".",
        "a/../../b.jpg",
        "%2e%2e%2fb",
    ],
)
async def test_hostile_filenames_stay_below_the_prefix(
    filename: str, running: Signer, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    form = await running.upload_form("named", {"filename": filename})
    assert form["key"].startswith("n/")
    status, body, _ = await post_object(session, form["url"], form["fields"], b"x")
    assert status == 200, body
    stored = [each["key"] for each in await cloud.objects("photos")]
    assert form["key"] in stored
    assert all(key.startswith("n/") and key.count("/") == 1 for key in stored)


async def test_an_api_key_identifies_the_caller_and_no_caller_leaves_its_prefix(
    running: Signer, session: aiohttp.ClientSession
) -> None:
    form = await running.upload_form("team", headers={"X-Api-Key": KEY})
    assert form["key_prefix"] == "users/backend/"
    form = await running.upload_form("team", headers={"X-Api-Key": KEY, "X-Caller": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"})
    assert form["key_prefix"] == "users/oUpF8uMuAJO_M2pxb1Q9zNjWeS6o/"
    for caller in ("..", "a/b", "a\\b", "a b", "x" * 129):
        await assert_problem(
            session,
            "POST",
            f"{running.public}/v1/apps/team/uploads",
            400,
            "invalid_request",
            headers={"X-Api-Key": KEY, "X-Caller": caller},
        )


async def test_a_rate_limited_response_has_retry_after(running: Signer, session: aiohttp.ClientSession) -> None:
    url = f"{running.public}/v1/apps/slow/uploads"
    for _ in range(2):
        await running.upload_form("slow")
    problem = await assert_problem(session, "POST", url, 429, "rate_limited")
    assert 1 <= int(problem["headers"]["Retry-After"]) <= 1800


async def test_only_the_apps_web_pages_may_read_a_response(running: Signer, session: aiohttp.ClientSession) -> None:
    url = f"{running.public}/v1/apps/a/uploads"
    ours, other = {"Origin": "https://h5.example.com"}, {"Origin": "https://evil.example.com"}
    async with session.options(url, headers={**ours, "Access-Control-Request-Method": "POST"}) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == ours["Origin"]
        assert response.headers["Access-Control-Allow-Methods"] == "POST"
        assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
    async with session.post(url, data=b"{", headers=ours) as response:
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (400, ours["Origin"])
    for headers in (other, {}):
        async with session.post(url, json={}, headers=headers) as response:
            assert response.status == 201
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_request_id_of_the_client_is_used_if_it_is_valid(
    running: Signer, session: aiohttp.ClientSession
) -> None:
    for given, kept in (("trace-12345678", True), ("bad id !", False)):
        async with session.get(f"{running.public}/nowhere", headers={"X-Request-Id": given}) as response:
            assert (response.headers["X-Request-Id"] == given) is kept


async def test_health_and_readiness_are_only_on_the_admin_listener(
    running: Signer, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"{running.admin}/healthz") as response:
        assert response.status == 200
    async with session.get(f"{running.admin}/readyz") as response:
        body = await response.json()
        assert (response.status, body["ready"], {role["role"] for role in body["roles"]}) == (200, True, {"r", "s"})
    await assert_problem(session, "GET", f"{running.public}/readyz", 404, "not_found")


async def test_a_role_without_a_token_gives_503_to_its_apps_only(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(
        f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  good: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}
  dead: {{type: assume_role, endpoint: "{cloud.sts}", access_key_secret: not-the-secret}}
defaults: {{region: cn-hangzhou, key_prefix: '', bucket: photos}}
apps: {{a: {{credentials: good}}, b: {{credentials: dead}}}}
""",
        encoding="utf-8",
    )
    async with signer(session, config) as running:
        await running.upload_form("a")
        problem = await assert_problem(
            session, "POST", f"{running.public}/v1/apps/b/uploads", 503, "credentials_unavailable"
        )
        assert int(problem["headers"]["Retry-After"]) >= 1
        async with session.get(f"{running.admin}/readyz") as response:
            body = await response.json()
            assert response.status == 503
            assert {role["role"]: role["usable"] for role in body["roles"]} == {"dead": False, "good": True}
        assert "not-the-secret" not in "".join(running.output) + str(body) + str(problem)


async def test_each_request_is_logged_once_without_secrets(config: Path, session: aiohttp.ClientSession) -> None:
    async with signer(session, config) as running:
        forms = [
            await running.upload_form("a"),
            await running.upload_form("s"),
            await running.upload_form("team", headers={"X-Api-Key": KEY}),
        ]
        await assert_problem(session, "POST", f"{running.public}/v1/apps/unknown/uploads", 404, "unknown_app", json={})
        assert await running.stop() == 0
    lines = [json.loads(line) for line in running.output]
    requests = [line for line in lines if line["message"] == "request"]
    assert [(line["app"], line["status"], line["code"]) for line in requests] == [
        ("a", 201, None),
        ("s", 201, None),
        ("team", 201, None),
        (None, 404, "unknown_app"),
    ]
    assert all(line["request_id"] for line in requests)
    output = "".join(running.output)
    secrets = [form["fields"]["x-oss-security-token"] for form in forms]
    secrets += [form["fields"]["x-oss-signature"] for form in forms]
    for secret in [*secrets, KEY, LOCAL_ENVIRON["OSS_ACCESS_KEY_SECRET"]]:
        assert secret not in output
    assert lines[-1]["message"] == "stopped"
