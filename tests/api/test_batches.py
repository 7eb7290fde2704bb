"""`POST /v1/apps/{app_id}/uploads` for several files: each form or problem in order, one request, N of each limit."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from pytest_aiohttp import AiohttpClient

from signer.api.routes import public_routes
from signer.delivery.receiver import CallbackReceiver
from signer.service import Service
from tests.api.conftest import API_KEY, DEFINITIONS, Client, StubReceiver, problem_of
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service

LIMITED = """
  own: {key_prefix: "own/{caller}/", callers: KEYS}
  own-bytes: {key_prefix: "own-bytes/{caller}/", key: uuid, callers: KEYS, rate_limit: {per_app_bytes: 90B/d}, generate_signature: false}
  per-app: {rate_limit: {per_app: 5/h}}
  per-address: {rate_limit: {per_address: 3/h}}
  address-first: {rate_limit: {per_address: 3/h, per_app: 100/h}}
  app-first: {rate_limit: {per_address: 100/h, per_app: 2/h}}
"""
LIMITED = LIMITED.replace("KEYS", f"{{type: api_key, keys: {{shop: {sha256(API_KEY.encode()).hexdigest()}}}}}")
PHOTO = {"filename": "a.jpg", "content_type": "image/jpeg", "size": 3}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(f"audit: {tmp_path}/audit.log\n{DEFINITIONS}{LIMITED}") as running:
        yield running


@pytest.fixture(params=sorted(ADAPTERS))
async def client(request: pytest.FixtureRequest, service: Service, aiohttp_client: AiohttpClient) -> Client:
    router = public_routes(service, cast(CallbackReceiver, StubReceiver()))
    return await aiohttp_client(HttpTestServer(service, router, ADAPTERS[request.param]))


async def batch(client: Client, app_id: str, *files: dict[str, Any], **members: Any) -> dict[str, Any]:
    async with client.post(f"/v1/apps/{app_id}/uploads", json={"files": files, **members}) as response:
        assert response.status == 200, await response.text()
        document: dict[str, Any] = await response.json()
        return document


def policy_of(fields: dict[str, str]) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(base64.b64decode(fields["policy"]))
    return policy


async def test_each_file_gets_its_form_in_order(client: Client) -> None:
    names = [f"{number}.jpg" for number in range(9)]
    document = await batch(client, "open", *({"filename": name, "size": 1} for name in names))
    assert list(document) == ["uploads"]
    uploads = document["uploads"]
    assert [form["key"].partition("-")[2] for form in uploads] == names
    assert len({form["key"] for form in uploads}) == 9
    async with client.post("/v1/apps/open/uploads", json={"filename": "0.jpg", "size": 1}) as response:
        single = await response.json()
    assert list(uploads[0]) == list(single)
    assert list(uploads[0]["fields"]) == list(single["fields"])
    for form in uploads:
        assert ["eq", "$key", form["key"]] in policy_of(form["fields"])["conditions"] or form["key_prefix"] == ""


async def test_a_compact_batch_gives_the_shared_fields_once(client: Client) -> None:
    document = await batch(client, "exact", PHOTO, {**PHOTO, "meta": {"team": "b"}}, compact=True)
    common, uploads = document["common_fields"], document["uploads"]
    assert {"x-oss-credential", "x-oss-date", "x-oss-object-acl"} <= set(common)
    for form in uploads:
        assert not common.keys() & form["fields"].keys()
        fields = {**common, **form["fields"]}
        conditions = policy_of(fields)["conditions"]
        assert ["eq", "$key", fields["key"]] in conditions and form["key"] == fields["key"]
        # Each field that a condition names is in the form.
        names = [name[1:] for kind, name, _ in (each for each in conditions if len(each) == 3) if kind == "eq"]
        assert {name.lower() for name in names} <= {name.lower() for name in fields}
    assert uploads[1]["fields"]["x-oss-meta-team"] == "b"


async def test_a_refused_file_gets_its_problem_and_the_others_their_forms(client: Client) -> None:
    files = [PHOTO, {**PHOTO, "size": 2**30}, {**PHOTO, "content_type": "text/html"}, {**PHOTO, "meta": {"no": ""}}]
    uploads = (await batch(client, "exact", *files, PHOTO))["uploads"]
    assert [each.get("code") for each in uploads] == [None, "too_large", "unsupported_type", "invalid_request", None]
    problem = uploads[1]
    assert (problem["status"], problem["title"], len(problem["request_id"]) > 7) == (413, "Too large", True)
    assert "retry_after" not in problem


@pytest.mark.parametrize(
    ("app_id", "granted", "seconds"),
    [
        ("per-app", 5, [720, 1440]),
        ("per-address", 3, [1200, 2400, 3600, 4800]),
        ("address-first", 3, [1200, 2400, 3600, 4800]),
        ("app-first", 2, [1800, 3600, 5400, 7200, 9000]),
    ],
)
async def test_the_limit_allows_the_first_files_and_the_others_get_the_time_until_their_turn(
    client: Client, service: Service, app_id: str, granted: int, seconds: list[int]
) -> None:
    async with client.post(f"/v1/apps/{app_id}/uploads", json={"files": [PHOTO] * 7}) as response:
        uploads = (await response.json())["uploads"]
        assert response.headers["RateLimit-Remaining"] == "0"
    assert ["url" in each for each in uploads] == [True] * granted + [False] * (7 - granted)
    assert {each["code"] for each in uploads[granted:]} == {"rate_limited"}
    for found, expected in zip((each["retry_after"] for each in uploads[granted:]), seconds, strict=True):
        assert expected - 60 < found <= expected
    problem = await problem_of(client, "POST", f"/v1/apps/{app_id}/uploads", 429, json={"files": [PHOTO] * 7})
    assert problem["code"] == "rate_limited" and problem["retry_after"] > 0
    text = service.metrics.exposition().decode()
    assert f'oss_signer_signatures_total{{app="{app_id}",outcome="signed"}} {granted}.0' in text
    # The batch that was refused as a whole counts once.
    assert f'oss_signer_rate_limited_total{{app="{app_id}"}} {7 - granted + 1}.0' in text


@pytest.mark.parametrize("app_id", ["own", "own-bytes"])
async def test_a_caller_whose_id_no_key_can_contain_gets_one_problem(
    client: Client, service: Service, app_id: str
) -> None:
    path, headers = f"/v1/apps/{app_id}/uploads", {"X-Api-Key": API_KEY, "X-Caller": "a*"}
    problem = await problem_of(client, "POST", path, 400, json={"files": [{**PHOTO, "size": 50}] * 3}, headers=headers)
    assert "caller_hash" in problem["detail"]
    text = service.metrics.exposition().decode()
    assert f'oss_signer_signatures_total{{app="{app_id}",outcome="invalid_request"}} 1.0' in text
    headers["X-Caller"] = "anna"
    async with client.post(path, json={"files": [{**PHOTO, "size": 90}]}, headers=headers) as response:
        assert ["url" in each for each in (await response.json())["uploads"]] == [True]


async def test_a_batch_leaves_to_others_what_it_does_not_need(client: Client) -> None:
    await batch(client, "per-app", *[PHOTO] * 4)
    async with client.post("/v1/apps/per-app/uploads", json=PHOTO) as response:
        assert (response.status, response.headers["RateLimit-Remaining"]) == (201, "0")


async def test_each_form_is_in_the_audit_log(client: Client, service: Service, tmp_path: Path) -> None:
    files = (PHOTO, {**PHOTO, "size": 2**30}, {**PHOTO, "method": "PUT"})
    uploads = (await batch(client, "exact", *files))["uploads"]
    for writer in service.line_writers:
        writer.flush()
    await service.close()
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text("utf-8").splitlines()]
    assert [line["key"] for line in lines] == [uploads[0]["key"], uploads[2]["key"]]
    assert {(line["event"], line["app"]) for line in lines} == {("signature", "exact")}
    form, put = lines
    assert (form["max_size"], "method" in form) == (2**20, False)
    assert (put["method"], put["size"], put["content_type"]) == ("PUT", 3, "image/jpeg")
    assert put["expires_at"][:19] == uploads[2]["expires_at"][:19]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"files": []}, "files: list should have at least 1 item, not 0"),
        ({"files": [{}] * 51}, "files: list should have at most 50 items"),
        ({"files": [{}, {"size": "1"}]}, "files.1.size: input should be a valid integer"),
        ({"files": [{"name": "a"}]}, "unknown member 'files.0.name'; known: filename, content_type, size, vars, meta"),
        ({"files": [{"files": []}]}, "unknown member 'files.0.files'; known: filename"),
        ({"files": [{"code": "a"}]}, "unknown member 'files.0.code'; known: filename"),
        ({"files": [{}], "filename": "a.jpg"}, "filename is of one file; write it into each of files"),
        ({"files": ["a.jpg"]}, "files.0: input should be"),
        ({"compact": True}, "compact is for several files; send it with files"),
        ({"method": "GET"}, "method: input should be 'POST' or 'PUT'"),
    ],
)
async def test_a_malformed_batch_gets_a_problem_that_names_the_member(
    client: Client, body: dict[str, Any], detail: str
) -> None:
    problem = await problem_of(client, "POST", "/v1/apps/open/uploads", 400, json=body)
    assert problem["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("app_id", "status", "code"),
    [
        ("unknown", 404, "unknown_app"),
        ("off", 403, "app_disabled"),
        ("backend", 401, "unauthenticated"),
        ("no-credential", 503, "credentials_unavailable"),
    ],
)
async def test_what_concerns_all_files_is_the_response_of_the_request(
    client: Client, app_id: str, status: int, code: str
) -> None:
    problem = await problem_of(client, "POST", f"/v1/apps/{app_id}/uploads", status, json={"files": [PHOTO]})
    assert problem["code"] == code


async def test_all_files_of_a_batch_are_of_its_caller(client: Client) -> None:
    headers = {"X-Api-Key": API_KEY, "X-Caller": "ann"}
    files = [{"filename": "../bob/a.jpg"}, {"filename": "users/bob/a.jpg"}, {"filename": "..\\bob\\a.jpg"}]
    async with client.post("/v1/apps/backend/uploads", json={"files": files}, headers=headers) as response:
        for form in (await response.json())["uploads"]:
            assert form["key"].startswith("users/ann/") and form["key"].count("/") == 2
            assert form["key_prefix"] == "users/ann/"
