"""Forms of several files from one request, used for uploads to the local cloud's OSS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.signer import Signer, signer

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = [{"filename": f"{number}.jpg", "content_type": "image/jpeg", "size": 3} for number in range(9)]


def definitions(cloud: Cloud) -> str:
    return f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}
defaults: {{region: cn-hangzhou, credentials: r, bucket: photos, domain: "{cloud.oss}/photos", max_size: 3}}
apps:
  photos: {{key_prefix: photos/, key: "{{uuid}}.{{ext}}", content_types: [image/*], meta: [team]}}
  limited: {{key_prefix: limited/, rate_limit: {{per_caller: 4/d}}}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Signer, Cloud]]:
    config = tmp_path_factory.mktemp("batches") / "signer.yaml"
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session, "--bucket", "photos=cn-hangzhou") as cloud,
    ):
        config.write_text(definitions(cloud), encoding="utf-8")
        async with signer(session, config) as started:
            yield started, cloud


async def batch(running: tuple[Signer, Cloud], app: str, files: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    started, _ = running
    url = f"{started.public}/v1/apps/{app}/uploads"
    async with started.session.post(url, json={"files": files, **members}) as response:
        assert response.status == 200, await response.text()
        document: dict[str, Any] = await response.json()
        return document


@pytest.mark.parametrize("is_compact", [False, True])
async def test_each_file_is_stored_with_its_form(running: tuple[Signer, Cloud], is_compact: bool) -> None:
    started, cloud = running
    files = [{**file, "meta": {"team": str(number)}} for number, file in enumerate(FILES)]
    document = await batch(running, "photos", files, compact=is_compact)
    for form in document["uploads"]:
        fields = {**document.get("common_fields", {}), **form["fields"]}
        assert (await post_object(started.session, form["url"], fields, b"jpg"))[0] == 200
    stored = {each["key"]: each["headers"]["x-oss-meta-team"] for each in await cloud.objects("photos")}
    assert [stored[form["key"]] for form in document["uploads"]] == [str(number) for number in range(9)]


async def test_a_form_of_a_batch_allows_no_more_than_a_single_one(running: tuple[Signer, Cloud]) -> None:
    started, cloud = running
    document = await batch(running, "photos", FILES[:2], compact=True)
    common, (first, second) = document["common_fields"], document["uploads"]
    fields = {**common, **first["fields"]}
    for forged in (
        {**fields, "key": second["key"]},
        {**fields, "x-oss-object-acl": "public-read"},
        {**fields, "x-oss-content-type": "text/html"},
        {name: value for name, value in fields.items() if name != "x-oss-storage-class"},
        {**fields, "policy": second["fields"]["policy"]},
    ):
        assert (await post_object(started.session, first["url"], forged, b"jpg"))[0] == 403
    assert (await post_object(started.session, first["url"], fields, b"large"))[0] == 400
    assert not {first["key"], second["key"]} & {each["key"] for each in await cloud.objects("photos")}


async def test_files_beyond_the_limit_wait_while_the_others_are_uploaded(running: tuple[Signer, Cloud]) -> None:
    started, _ = running
    uploads = (await batch(running, "limited", FILES))["uploads"]
    assert [each.get("code") for each in uploads] == [None] * 4 + ["rate_limited"] * 5
    assert sorted(each["retry_after"] for each in uploads[4:]) == [each["retry_after"] for each in uploads[4:]]
    for form in uploads[:4]:
        assert (await post_object(started.session, form["url"], form["fields"], b"jpg"))[0] == 200
    url = f"{started.public}/v1/apps/limited/uploads"
    async with started.session.post(url, json={"files": FILES}) as response:
        assert (response.status, int(response.headers["Retry-After"]) > 0) == (429, True)
