"""`GET` and `POST /v1/apps/{app_id}/downloads`."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest
from pytest_aiohttp import AiohttpClient

from signer.api.routes import public_routes
from signer.clock import utc_now
from signer.delivery.receiver import CallbackReceiver
from signer.signing.v4 import Credential
from tests.api.conftest import API_KEY, DEFINITIONS, Client, problem_of
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service

HEADERS = {"X-Api-Key": API_KEY, "X-Caller": "ann"}


async def test_the_caller_gets_a_url_of_an_object_of_its_own(client: Client) -> None:
    async with client.get("/v1/apps/backend/downloads?key=users/ann/a.jpg", headers=HEADERS) as response:
        document = await response.json()
    assert (response.status, set(document)) == (200, {"url", "expires_at"})
    assert "/users/ann/a.jpg?" in document["url"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/apps/backend/downloads?key=users/bob/a.jpg", 403, "forbidden"),
        ("/v1/apps/backend/downloads?key=users/ann/%C4%E3.jpg", 400, "invalid_request"),
        ("/v1/apps/backend/downloads?key=users/ann/%ED%A0%80.jpg", 400, "invalid_request"),
        ("/v1/apps/backend/downloads?key=users/ann/a.jpg&style=%C4", 400, "invalid_request"),
        ("/v1/apps/backend/downloads?key=users/ann/a.jpg&key=users/bob/a.jpg", 400, "invalid_request"),
        ("/v1/apps/backend/downloads", 400, "invalid_request"),
        ("/v1/apps/open/downloads?key=a.jpg", 403, "forbidden"),
        ("/v1/apps/unknown/downloads?key=a.jpg", 404, "unknown_app"),
    ],
)
async def test_a_request_that_is_refused_gets_a_problem(client: Client, path: str, status: int, code: str) -> None:
    assert (await problem_of(client, "GET", path, status, headers=HEADERS))["code"] == code


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/apps/backend/downloads", {"keys": ["users/ann/a.jpg"], "style": "thumb"}, 400, "invalid_request"),
        ("/v1/apps/backend/downloads", {"keys": []}, 400, "invalid_request"),
        ("/v1/apps/open/downloads", {"keys": ["a.jpg"]}, 403, "forbidden"),
        ("/v1/apps/unknown/downloads", {"keys": ["a.jpg"]}, 404, "unknown_app"),
    ],
)
async def test_a_gallery_that_is_refused_gets_a_problem(
    client: Client, path: str, body: object, status: int, code: str
) -> None:
    assert (await problem_of(client, "POST", path, status, headers=HEADERS, json=body))["code"] == code


async def test_the_urls_of_a_window_stay_while_the_token_is_replaced(aiohttp_client: AiohttpClient) -> None:
    moment = utc_now()
    text = DEFINITIONS.replace("downloads: {expires: 10m}", "downloads: {expires: 10m, window: 10m}")
    async with running_service(text, now=lambda: moment) as service:
        token = service.current.roles.keepers["key"].token
        client: Client = await aiohttp_client(
            HttpTestServer(service, public_routes(service, cast(CallbackReceiver, None)), ADAPTERS["fast"])
        )

        async def responses() -> tuple[str, str]:
            found = []
            for path, body in (("downloads", {"keys": ["users/ann/a.jpg"]}), ("uploads", {})):
                async with client.post(f"/v1/apps/backend/{path}", json=body, headers=HEADERS) as response:
                    found.append(await response.text())
            return found[0], found[1]

        token.record_fetch(Credential("STS.first", "secret", "token", moment + timedelta(hours=1)))
        urls, form = await responses()
        token.record_fetch(Credential("STS.second", "secret", "token", moment + timedelta(hours=2)))
        later_urls, later_form = await responses()
        assert ("STS.first" in form, "STS.second" in later_form) == (True, True)
        assert later_urls == urls


async def test_a_gallery_has_a_url_or_a_problem_for_each_key_in_order(client: Client) -> None:
    keys = ["users/ann/a.jpg", "users/bob/b.jpg", "users/ann/a.jpg"]
    async with client.post("/v1/apps/backend/downloads", json={"keys": keys}, headers=HEADERS) as response:
        document = await response.json()
    assert (response.status, set(document)) == (200, {"downloads", "expires_at"})
    first, other, again = document["downloads"]
    assert [each["key"] for each in (first, other, again)] == keys
    assert first == again and set(first) == {"key", "url"}
    assert set(other["problem"]) == {"type", "title", "status", "detail", "code", "request_id"}
