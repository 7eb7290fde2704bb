"""Deletes of callers, with the local cloud as the judge of what is deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object, upload_file
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "the-key-of-the-shop"
PAGE = "https://h5.example.com"


@dataclass
class Deleting:
    running: Signer
    cloud: Cloud
    session: aiohttp.ClientSession
    audit: Path

    async def upload(self, app: str = "album", caller: str = "anna", filename: str = "a.jpg") -> str:
        url = f"{self.running.public}/v1/apps/{app}/uploads"
        return await upload_file(self.session, url, {"X-Api-Key": KEY, "X-Caller": caller}, filename, b"x")

    async def delete(
        self, key: str | None, app: str = "album", caller: str = "anna", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Return the status, and the problem if there is one."""
        url = f"{self.running.public}/v1/apps/{app}/objects"
        sent = {"X-Api-Key": KEY, "X-Caller": caller, **headers}
        async with self.session.delete(url, params={} if key is None else {"key": key}, headers=sent) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else {}

    async def stored(self) -> set[str]:
        return {each["key"] for each in await self.cloud.objects("photos")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deleting(
    module_session: aiohttp.ClientSession, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deleting]:
    tmp_path = tmp_path_factory.mktemp("deleting")
    config = tmp_path / "signer.yaml"
    async with local_cloud(module_session) as cloud:
        url = await cloud.create_bucket("photos")
        config.write_text(
            f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
audit: {tmp_path}/audit.log
credentials:
  narrow: {{type: assume_role, endpoint: "{cloud.sts}", scope: app}}
  writer: {{type: assume_role, endpoint: "{cloud.sts}", role_arn: "acs:ram::1234567890123456:role/oss-writer"}}
defaults:
  bucket: photos
  region: cn-hangzhou
  domain: "{url}"
  credentials: narrow
  key_prefix: "{{app}}/{{caller}}/"
  callers: {{type: api_key, keys: {{shop: {sha256(KEY.encode()).hexdigest()}}}}}
apps:
  album: {{deletes: true, downloads: {{also: [public/]}}, cors_origins: ["{PAGE}"]}}
  public: {{key_prefix: public/}}
  shared: {{deletes: true, downloads: {{also: ["{{app}}/"]}}}}
  limited: {{deletes: true, rate_limit: {{per_caller: 2/h}}}}
  capped: {{deletes: true}}
  denied: {{deletes: true, credentials: writer}}
  none: {{}}
""",
            encoding="utf-8",
        )
        policy = {
            "Version": "1",
            "Statement": [{"Effect": "Allow", "Action": "oss:PutObject", "Resource": "acs:oss:*:*:photos/*"}],
        }
        async with module_session.put(f"{cloud.oss}/-/roles/oss-writer", json={"policy": policy}) as response:
            assert response.status == 200
        async with signer(module_session, config) as running:
            yield Deleting(running, cloud, module_session, tmp_path / "audit.log")


async def test_a_caller_deletes_its_own_object(deleting: Deleting) -> None:
    mine, other = await deleting.upload(filename="照 片+1.jpg"), await deleting.upload()
    assert await deleting.delete(mine) == (204, {})
    stored = await deleting.stored()
    assert mine not in stored and other in stored


async def test_an_object_that_does_not_exist_counts_as_deleted(deleting: Deleting) -> None:
    key = await deleting.upload()
    assert [await deleting.delete(key) for _ in range(2)] == [(204, {}), (204, {})]
    assert await deleting.delete("album/anna/never-stored.jpg") == (204, {})


async def test_the_object_of_another_caller_stays(deleting: Deleting) -> None:
    hers = await deleting.upload(caller="bert")
    shared = await deleting.upload(app="public")
    elsewhere = await deleting.upload(app="none")
    name = hers.rpartition("/")[2]
    for key in (
        hers,
        shared,
        elsewhere,
        f"album/anna/../bert/{name}",
        f"album/anna/./../bert/{name}",
        f"album%2Fbert%2F{name}",
        f"/{hers}",
        f"album//bert/{name}",
        "album/anna",
        "album/anna/",
    ):
        status, problem = await deleting.delete(key)
        assert (status, problem["code"]) == (403, "forbidden"), key
        assert ("segment . or .." in problem["detail"]) == (".." in key)
    assert {hers, shared, elsewhere} <= await deleting.stored()


async def test_an_encoded_key_is_taken_literally(deleting: Deleting) -> None:
    hers = await deleting.upload(caller="bert")
    name = hers.rpartition("/")[2]
    assert await deleting.delete(f"album/anna/%2e%2e%2fbert%2f{name}") == (204, {})
    assert hers in await deleting.stored()


@pytest.mark.parametrize(
    ("escaped", "detail"),
    [
        ("%EF%BF%BD", "InvalidObjectName"),
        ("%FF", "parameter 'key' is not UTF-8"),
        ("%C4%E3", "'key' is not UTF-8"),
        ("a.jpg&key=album/anna/b", "the query parameter 'key' occurs twice"),
    ],
)
async def test_a_key_that_names_no_object_is_the_mistake_of_the_client(
    deleting: Deleting, escaped: str, detail: str
) -> None:
    url = f"{deleting.running.public}/v1/apps/album/objects?key=album/anna/{escaped}.jpg"
    headers = {"X-Api-Key": KEY, "X-Caller": "anna"}
    async with deleting.session.delete(URL(url, encoded=True), headers=headers) as response:
        problem = await response.json(content_type=None)
    assert (response.status, problem["code"]) == (400, "invalid_request")
    assert detail in problem["detail"]


async def test_an_own_object_that_all_may_read_is_deleted_by_its_owner_only(deleting: Deleting) -> None:
    mine, hers = await deleting.upload(app="shared"), await deleting.upload(app="shared", caller="bert")
    status, problem = await deleting.delete(hers, app="shared")
    assert (status, problem["code"]) == (403, "forbidden")
    assert await deleting.delete(mine, app="shared") == (204, {})
    stored = await deleting.stored()
    assert hers in stored and mine not in stored


async def test_a_key_that_is_too_long_for_oss_has_the_same_refusal_as_a_download(deleting: Deleting) -> None:
    assert await deleting.delete("album/anna/".ljust(1023, "k")) == (204, {})
    for key in ("album/anna/".ljust(1024, "k"), "album/anna/" + "照" * 338):
        status, problem = await deleting.delete(key)
        assert (status, problem["code"]) == (400, "invalid_request")
        assert "1,023 bytes" in problem["detail"]


async def test_a_key_with_a_line_break_is_deleted(deleting: Deleting) -> None:
    form = await deleting.running.upload_form("album", headers={"X-Api-Key": KEY, "X-Caller": "anna"})
    key = "album/anna/a\nb.jpg"
    assert (await post_object(deleting.session, form["url"], {**form["fields"], "key": key}, b"x"))[0] == 200
    assert key in await deleting.stored()
    assert await deleting.delete(key) == (204, {})
    assert key not in await deleting.stored()


async def test_a_page_that_a_proxy_sends_instead_of_oss_deletes_nothing(deleting: Deleting) -> None:
    key = await deleting.upload()
    await deleting.cloud.set_faults(oss={"kind": "malformed", "times": 1})
    status, problem = await deleting.delete(key)
    assert (status, problem["code"]) == (503, "oss_unavailable")
    assert key in await deleting.stored()
    assert await deleting.delete(key) == (204, {})


async def test_only_identified_callers_of_apps_with_deletes_delete(deleting: Deleting) -> None:
    key = await deleting.upload(app="none")
    status, problem = await deleting.delete(key, app="none")
    assert (status, problem["code"]) == (403, "forbidden")
    assert "deletes" in problem["detail"]
    status, problem = await deleting.delete(await deleting.upload(), **{"X-Api-Key": "another-key"})
    assert (status, problem["code"]) == (401, "unauthenticated")
    status, problem = await deleting.delete(None)
    assert (status, problem["code"]) == (400, "invalid_request")
    for method in ("GET", "POST", "PUT"):
        url = f"{deleting.running.public}/v1/apps/album/objects"
        async with deleting.session.request(method, url, params={"key": key}) as response:
            assert response.status == 405


async def test_a_delete_counts_in_the_rate_limit(deleting: Deleting) -> None:
    for _ in range(2):
        assert (await deleting.delete("limited/anna/a.jpg", "limited"))[0] == 204
    status, problem = await deleting.delete("limited/anna/a.jpg", "limited")
    assert (status, problem["code"]) == (429, "rate_limited")
    assert (await deleting.delete("limited/bert/a.jpg", "limited", "bert"))[0] == 204


async def test_a_caller_cannot_flood_oss_with_deletes(deleting: Deleting) -> None:
    """Keys of others count too, and cost no call to OSS."""
    statuses = await asyncio.gather(*(deleting.delete("capped/bert/a.jpg", "capped") for _ in range(400)))
    assert {status for status, _ in statuses} == {403, 429}
    assert (await deleting.delete("capped/bert/a.jpg", "capped", "bert"))[0] == 204


async def test_a_role_that_may_not_delete_is_named(deleting: Deleting) -> None:
    key = await deleting.upload(app="denied")
    status, problem = await deleting.delete(key, "denied")
    assert (status, problem["code"]) == (502, "oss_refused")
    assert "oss:DeleteObject" in problem["detail"]
    assert key in await deleting.stored()


async def test_while_oss_fails_a_delete_fails_with_retry_after(deleting: Deleting) -> None:
    key = await deleting.upload()
    await deleting.cloud.set_faults(oss={"kind": "status", "status": 503})
    try:
        status, problem = await deleting.delete(key)
        assert (status, problem["code"]) == (503, "oss_unavailable")
    finally:
        await deleting.cloud.set_faults()

    async def deleted() -> bool:
        return (await deleting.delete(key))[0] == 204

    await wait_until(deleted)
    assert key not in await deleting.stored()


async def test_a_delete_is_one_call_to_oss(deleting: Deleting) -> None:
    key, before = await deleting.upload(), len(await deleting.cloud.calls("DeleteObject"))
    await deleting.delete(key)
    [call] = (await deleting.cloud.calls("DeleteObject"))[before:]
    assert call["status"] == 204


async def test_pages_of_an_allowed_origin_may_delete(deleting: Deleting) -> None:
    url = f"{deleting.running.public}/v1/apps/album/objects"
    sent = {"Origin": PAGE, "Access-Control-Request-Method": "DELETE"}
    async with deleting.session.options(url, headers=sent) as response:
        assert (response.status, response.headers["Access-Control-Allow-Methods"]) == (204, "DELETE")
        assert response.headers["Access-Control-Allow-Origin"] == PAGE


async def test_deletes_are_audited_and_counted(deleting: Deleting) -> None:
    key = await deleting.upload()
    await deleting.delete(key, **{"X-Request-Id": "delete-request"})

    def entry() -> dict[str, Any] | None:
        lines = deleting.audit.read_text(encoding="utf-8").splitlines() if deleting.audit.exists() else []
        return next((each for line in lines if (each := json.loads(line))["request_id"] == "delete-request"), None)

    line = await wait_until(entry)
    assert (line["event"], line["app"], line["caller"], line["key"]) == ("delete", "album", "anna", key)
    async with deleting.session.get(f"{deleting.running.admin}/metrics") as response:
        metrics = await response.text()
    assert 'oss_signer_objects_deleted_total{app="album"}' in metrics
    assert 'oss_signer_oss_calls_total{operation="DeleteObject",outcome="success"}' in metrics
