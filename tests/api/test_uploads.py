"""`POST /v1/apps/{app_id}/uploads`."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest

from tests.api.conftest import API_KEY, ORIGIN, WX_APP, Client, problem_of


def path(app_id: str) -> str:
    return f"/v1/apps/{app_id}/uploads"


MEMBERS = {"url", "method", "fields", "file_field", "expires_at", "max_size"}


@pytest.mark.parametrize(
    ("body", "name"), [({}, "[0-9a-f]{32}"), ({"filename": "x/$.jpg"}, r"[0-9a-f]{32}-_~[0-9a-f]{8}\.jpg")]
)
async def test_a_form_has_a_whole_key_where_the_client_names_the_object(
    client: Client, body: dict[str, str], name: str
) -> None:
    async with client.post(path(WX_APP), json=body) as response:
        form = await response.json()
    assert response.status == 201
    assert set(form) == MEMBERS | {"key", "key_prefix"}
    assert form["fields"]["key"] == form["key"]
    assert re.fullmatch(f"wx/{name}", form["key"])
    assert form["key_prefix"] == "wx/"


async def test_a_form_to_reuse_has_a_key_that_the_client_completes(client: Client) -> None:
    async with client.post(path(WX_APP), json={"filename": "a.jpg", "reuse": True}) as response:
        form = await response.json()
    assert response.status == 201
    assert set(form) == MEMBERS | {"key_prefix"}
    assert form["fields"]["key"] == "wx/${filename}"


async def test_an_exact_key_serves_one_file_only(client: Client) -> None:
    request = {"filename": "a.jpg", "content_type": "image/jpeg", "reuse": True}
    async with client.post(path("exact"), json=request) as response:
        form = await response.json()
    assert set(form) == MEMBERS | {"key"}
    assert form["fields"]["key"] == form["key"]


async def test_the_form_contains_what_the_request_and_the_rules_fix(client: Client) -> None:
    request = {"filename": "a.jpg", "content_type": "image/jpeg", "size": 1, "meta": {"team": "x"}, "vars": {}}
    async with client.post(path("exact"), json=request) as response:
        form = await response.json()
    assert (response.status, form["fields"]["key"]) == (201, form["key"])
    assert form["fields"]["x-oss-meta-team"] == "x"
    assert form["fields"]["Content-Type"] == "image/jpeg"
    assert form["max_size"] == 2**20


async def test_the_prefix_contains_the_caller(client: Client) -> None:
    headers = {"X-Api-Key": API_KEY, "X-Caller": "ann"}
    async with client.post(path("backend"), headers=headers) as response:
        assert (await response.json())["key_prefix"] == "users/ann/"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "the body is not valid JSON; send a JSON object"),
        (b"[]", "the body is not a JSON object; send one with filename"),
        (b'{"name": "a.jpg"}', "unknown member 'name'; known: filename, content_type"),
        (b'{"reuse": "true"}', "reuse: input should be a valid boolean"),
        (b'{"size": "1"}', "size: input should be a valid integer"),
        (b'{"filename": ""}', "filename: string should have at least 1 character"),
        (gzip.compress(b"{}", mtime=0), "the body is not valid JSON; send a JSON object"),
    ],
)
async def test_a_malformed_body_gets_a_problem_that_names_the_member(client: Client, body: bytes, detail: str) -> None:
    problem = await problem_of(client, "POST", path("open"), 400, data=body)
    assert problem["code"] == "invalid_request"
    assert problem["detail"].startswith(detail)


async def test_null_is_the_same_as_an_absent_member(client: Client) -> None:
    members = ("filename", "content_type", "size", "vars", "meta", "reuse", "code")
    async with client.post("/v1/apps/open/uploads", json=dict.fromkeys(members)) as response:
        assert response.status == 201, await response.text()


async def test_large_cookies_do_not_break_a_request(client: Client) -> None:
    """Browsers send the cookies of a page's domain along, up to 32 KiB in one header."""
    headers = {"Cookie": "session=" + "a" * 32 * 1024}
    async with client.post("/v1/apps/open/uploads", json={}, headers=headers) as response:
        assert response.status == 201


async def test_a_compressed_body_is_not_expanded(client: Client) -> None:
    options: dict[str, Any] = {"data": gzip.compress(b"{}"), "headers": {"Content-Encoding": "gzip"}}
    problem = await problem_of(client, "POST", path("open"), 400, **options)
    assert problem["detail"] == "the body is compressed; send it without Content-Encoding"


@pytest.mark.parametrize(
    ("app_id", "status", "code"),
    [
        ("unknown", 404, "unknown_app"),
        ("", 404, "unknown_app"),
        ("off", 403, "app_disabled"),
        ("backend", 401, "unauthenticated"),
        ("no-credential", 503, "credentials_unavailable"),
    ],
)
async def test_a_request_that_is_refused_gets_a_problem(client: Client, app_id: str, status: int, code: str) -> None:
    assert (await problem_of(client, "POST", path(app_id), status))["code"] == code


async def test_a_refusal_for_lack_of_a_credential_has_the_time_to_retry(client: Client) -> None:
    async with client.post(path("no-credential")) as response:
        assert int(response.headers["Retry-After"]) >= 1


async def test_a_limit_is_shown_and_enforced(client: Client) -> None:
    async with client.post(path("limited")) as response:
        limits = [response.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")]
    assert (response.status, limits) == (201, ["1", "0", "3600"])
    async with client.post(path("limited")) as response:
        assert (response.status, response.headers["RateLimit-Remaining"]) == (429, "0")
        assert 1 <= int(response.headers["Retry-After"]) <= 3600


async def test_a_wx_login_code_of_the_body_is_as_good_as_one_in_a_header(client: Client) -> None:
    """An app without WeChat callers ignores it; that it is read shows in its validation."""
    async with client.post(path("open"), json={"code": "c" * 512}) as response:
        assert response.status == 201
    problem = await problem_of(client, "POST", path("open"), 400, json={"code": "c" * 513})
    assert problem["detail"].startswith("code: ")


async def test_a_web_page_may_read_a_refusal(client: Client) -> None:
    headers = {"Origin": ORIGIN}
    async with client.post(path("web"), data=b"{", headers=headers) as response:
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (400, ORIGIN)


@pytest.mark.parametrize("origin", ["https://evil.example.com", "https://www.example.com/"])
async def test_another_origin_gets_no_permission(client: Client, origin: str) -> None:
    async with client.post(path("web"), headers={"Origin": origin}) as response:
        assert response.status == 201
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://localhost:80", "http://localhost"])
async def test_an_origin_of_any_port_matches_each_port(client: Client, origin: str) -> None:
    async with client.post(path("local"), headers={"Origin": origin}) as response:
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (201, origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://localhost:5173",
        "http://localhost.evil.example.com:5173",
        "http://evil.example.com:5173",
        "http://localhost:5173x",
    ],
)
async def test_an_origin_of_any_port_matches_no_other_host(client: Client, origin: str) -> None:
    async with client.post(path("local"), headers={"Origin": origin}) as response:
        assert response.status == 201
        assert "Access-Control-Allow-Origin" not in response.headers
