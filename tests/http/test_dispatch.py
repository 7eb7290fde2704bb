"""What dispatch does for every request: context, request id, guard, problems, log and metrics."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from multidict import CIMultiDict
from pytest_aiohttp import AiohttpClient

from signer.errors import Forbidden
from signer.http.reply import Reply, json_reply
from signer.http.router import Router, app_in_path
from signer.request_context import RequestContext
from signer.revision import Context
from signer.service import Service
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service
from tests.harness.log_file import LogFile, log_file

DEFINITIONS = """
version: 1
server: {trusted_proxies: [127.0.0.1]}
credentials: {key: {type: static, access_key_id: LTAI, access_key_secret: secret}}
apps:
  a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: key}
  "off": {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: key, enabled: false}
"""

Client = TestClient[Any, Any]


async def describe(context: Context) -> Reply:
    return json_reply(
        {
            "method": context.method,
            "target": context.target,
            "path": context.path,
            "parameter": context.parameter,
            "query": dict(context.query),
            "client_address": context.client_address,
            "app_id": context.app_id,
            "app": None if context.app is None else context.app.id,
            "body": (await context.body.read()).decode(),
        }
    )


def forbid(context: Context) -> None:
    if context.header("X-Forbidden"):
        raise Forbidden("the guard refuses it")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running_service(DEFINITIONS) as service:
        yield service


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFile]:
    """The log of this process. Use it before the server: its request log reads the level once."""
    with log_file(tmp_path / "log") as log:
        yield log


@pytest.fixture(params=sorted(ADAPTERS))
async def client(
    log: LogFile, request: pytest.FixtureRequest, service: Service, aiohttp_client: AiohttpClient
) -> Client:
    router = Router()
    router.add("GET", "/plain", describe)
    router.add("POST", "/apps/{app_id}/describe", describe, app_naming=app_in_path)
    client: Client = await aiohttp_client(HttpTestServer(service, router, ADAPTERS[request.param], forbid))
    return client


async def logged(client: Client, log: LogFile) -> list[dict[str, Any]]:
    """Return the request log once it is written completely."""
    await client.close()
    lines = [json.loads(line) for line in log.read().splitlines()]
    return [line for line in lines if line["logger"] == "oss_signer.request"]


async def test_the_context_contains_what_the_client_sent(client: Client) -> None:
    async with client.post("/apps/a/describe?x=1%26", data=b"body") as response:
        assert await response.json() == {
            "method": "POST",
            "target": "/apps/a/describe?x=1%26",
            "path": "/apps/a/describe",
            "parameter": "a",
            "query": {"x": "1&"},
            "client_address": "127.0.0.1",
            "app_id": "a",
            "app": "a",
            "body": "body",
        }


@pytest.mark.parametrize(("app_id", "app"), [("a", "a"), ("off", "off"), ("unknown", None)])
async def test_the_app_is_looked_up_even_if_it_is_disabled(client: Client, app_id: str, app: str | None) -> None:
    async with client.post(f"/apps/{app_id}/describe") as response:
        document = await response.json()
    assert (document["app_id"], document["app"]) == (app_id, app)


async def test_a_route_without_an_app_has_none(client: Client) -> None:
    async with client.get("/plain") as response:
        document = await response.json()
    assert (document["app_id"], document["app"], document["body"]) == (None, None, "")


@pytest.mark.parametrize("request_id", ["12345678", "a.b_c-D" * 9])
async def test_a_safe_request_id_is_kept(client: Client, request_id: str) -> None:
    async with client.get("/plain", headers={"X-Request-Id": request_id}) as response:
        assert response.headers["X-Request-Id"] == request_id


@pytest.mark.parametrize("request_id", ["", "short", "a" * 65, 'quote"quote', "umlaut-ä-ä"])
async def test_another_request_id_is_replaced(client: Client, request_id: str) -> None:
    found = set()
    for _ in range(2):
        async with client.get("/plain", headers={"X-Request-Id": request_id}) as response:
            found.add(response.headers["X-Request-Id"])
    assert len(found) == 2
    assert request_id not in found


@pytest.mark.parametrize("path", ["/plain", "/nowhere"])
async def test_the_guard_checks_every_path(client: Client, path: str) -> None:
    async with client.get(path, headers={"X-Forbidden": "yes"}) as response:
        problem = await response.json(content_type="application/problem+json")
    assert (response.status, problem["detail"]) == (403, "the guard refuses it")


async def test_a_method_that_the_path_does_not_have_is_refused_with_the_allowed_ones(client: Client) -> None:
    async with client.delete("/plain") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


async def test_head_has_the_headers_of_get(client: Client) -> None:
    async with client.get("/plain") as get, client.head("/plain") as head:
        assert (get.status, head.status, await head.read()) == (200, 200, b"")
        assert int(head.headers["Content-Length"]) == len(await get.read()) + len("HEAD") - len("GET")


async def test_no_response_may_be_cached(client: Client) -> None:
    for path in ("/plain", "/nowhere"):
        async with client.get(path) as response:
            assert (response.headers["Cache-Control"], response.headers["Server"]) == ("no-store", "oss-signer")


async def test_each_request_is_logged_with_the_address_of_its_client(client: Client, log: LogFile) -> None:
    """Also those that fail before a handler runs, or while it reads the body."""
    headers = {"X-Forwarded-For": "198.51.100.1, ::ffff:203.0.113.7"}
    requests = [
        ("GET", "/plain?secret=1", b""),
        ("GET", "/nowhere", b""),
        ("DELETE", "/plain", b""),
        ("POST", "/apps/a/describe", b"x" * 70_000),
        ("POST", "/apps/unknown/describe", b""),
    ]
    for method, path, body in requests:
        async with client.request(method, path, data=body, headers=headers) as response:
            await response.read()
    lines = await logged(client, log)
    assert [(line["status"], line["code"], line["app"], line["path"]) for line in lines] == [
        (200, None, None, "/plain"),
        (404, "not_found", None, "/nowhere"),
        (405, "method_not_allowed", None, "/plain"),
        (413, "too_large", "a", "/apps/a/describe"),
        (200, None, None, "/apps/unknown/describe"),
    ]
    assert {line["address"] for line in lines} == {"203.0.113.7"}
    assert all(line["milliseconds"] >= 0 and len(line["request_id"]) >= 8 for line in lines)


async def test_the_durations_are_counted(client: Client, service: Service) -> None:
    async with client.get("/plain") as response:
        assert response.status == 200
    assert b"oss_signer_request_duration_seconds_count 1.0" in service.metrics.exposition()


async def test_a_context_shows_no_headers(service: Service) -> None:
    """They contain tokens, and a context may end up in a log."""
    context: Context = RequestContext(CIMultiDict({"Authorization": "Bearer secret"}), login_code="secret")
    assert "secret" not in repr(context)
