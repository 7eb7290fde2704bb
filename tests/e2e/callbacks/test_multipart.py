"""A multipart upload is reported like a form, also when its signer was killed in the middle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.e2e.callbacks.callback_signer import CallbackSigner, callback_signer
from tests.e2e.callbacks.notify_server import NotifyServer
from tests.harness.local_cloud import Cloud
from tests.harness.waiting import wait_until

CONTENT = Random(4).randbytes(250_000)


@pytest.fixture
async def signer(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, tmp_path: Path
) -> AsyncIterator[CallbackSigner]:
    multipart = {"part_size": "100KiB", "threshold": 1}
    apps = {"videos": {"key_prefix": "v/", "notify": app_server.target, "multipart": multipart}}
    queue = str(tmp_path / "callbacks.db")
    async with callback_signer(session, cloud, tmp_path, queue, apps, secret="s" * 32) as running:
        yield running


async def post(signer: CallbackSigner, step: str, body: Mapping[str, Any]) -> Any:
    async with signer.session.post(f"{signer.address}/v1/apps/videos/multipart{step}", json=body) as response:
        assert response.status in (200, 201), await response.text()
        return await response.json()


async def put(signer: CallbackSigner, part: Mapping[str, Any]) -> None:
    start = (part["part_number"] - 1) * 100 * 1024
    data = CONTENT[start : start + part["size"]]
    url = URL(part["url"], encoded=True)
    async with signer.session.put(url, data=data, headers=part["headers"]) as response:
        assert response.status == 200, await response.text()


async def test_the_app_is_notified_of_an_upload_whose_signer_was_killed(
    signer: CallbackSigner, app_server: NotifyServer, cloud: Cloud
) -> None:
    upload = await post(signer, "", {"filename": "a.mp4", "size": len(CONTENT), "vars": {"number": "7 & 8"}})
    first, *_ = upload["parts"]
    await put(signer, first)
    await signer.kill()
    await signer.start()
    token = {"upload": upload["upload"]}
    [stored] = (await post(signer, "/list", token))["parts"]
    assert stored["part_number"] == 1
    for part in (await post(signer, "/parts", {**token, "part_numbers": [2, 3]}))["parts"]:
        await put(signer, part)
    done = await post(signer, "/complete", token)
    assert done["callback"] == {"ok": True, "key": upload["key"]}
    assert await cloud.content("photos", upload["key"]) == CONTENT
    await wait_until(lambda: app_server.acknowledged)
    [event] = app_server.received
    assert (event["app"], event["bucket"], event["key"]) == ("videos", "photos", upload["key"])
    assert (event["callback"]["size"], event["callback"]["number"]) == (str(len(CONTENT)), "7 & 8")
    assert event["callback"]["etag"] in done["etag"]
    # A repeated completion reports nothing again.
    assert await post(signer, "/complete", token) == {name: done[name] for name in ("key", "url", "etag", "size")}
    await signer.wait_for_counts(videos_accepted=1, notify_delivered=1, depth=0)
