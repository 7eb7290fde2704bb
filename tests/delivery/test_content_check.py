"""The content check in docs/callbacks.md is run with the local WeChat: it deletes what is risky, and keeps the rest."""

from __future__ import annotations

import base64
import contextlib
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import aiohttp
import pytest

from tests.callers.local_wechat import SECRET, LocalWeChat
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.ports import reserve_port
from tests.harness.processes import ROOT, Process, launch
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until

NOTIFY_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
KEY, PUSH_TOKEN = "the-key-of-the-content-check", "token-of-the-push"


@dataclass
class Checked:
    """A mini-program whose pictures are checked."""

    app_id: str
    wechat: LocalWeChat
    signer: Signer
    cloud: Cloud
    receiver: Process
    url: str
    """The address of the receiver."""

    async def upload(self, suggest: str, user: str = "anna") -> str:
        """Upload a picture that WeChat will judge so, and return its key."""
        await self.control(f"media-checks/{self.app_id}", {"suggest": suggest})
        code = await self.wechat.code(self.app_id, user)
        form = await self.signer.upload_form(self.app_id, {"filename": "a.jpg", "code": code})
        status, body, _ = await post_object(self.cloud.session, form["url"], form["fields"], b"picture")
        assert (status, '"ok": true' in body or '"ok":true' in body) == (200, True), body
        key: str = form["key"]
        return key

    async def control(self, path: str, body: dict[str, str]) -> None:
        async with self.cloud.session.put(f"{self.cloud.wechat}/-/wechat/{path}", json=body) as response:
            assert response.status == 200, await response.text()

    async def stored(self) -> set[str]:
        return {str(each["key"]) for each in await self.cloud.objects("photos")}


@contextlib.asynccontextmanager
async def content_check(session: aiohttp.ClientSession, directory: Path) -> AsyncIterator[Checked]:
    text = (ROOT / "docs/callbacks.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    [code] = [each for each in blocks if "media_check_async" in each]
    example = directory / "checks.py"
    example.write_text(code, encoding="utf-8")
    public, port = reserve_port(), reserve_port()
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou", public_read=False) as cloud:
        wechat = LocalWeChat(cloud.wechat, session)
        app_id = await wechat.app()
        config = directory / "signer.yaml"
        config.write_text(definitions(cloud, app_id, directory, public, port), encoding="utf-8")
        environ = {
            "NOTIFY_SECRET": NOTIFY_SECRET,
            "SIGNER": f"http://127.0.0.1:{public}",
            "SIGNER_KEY": KEY,
            "WECHAT": cloud.wechat,
            "WX_APPID": app_id,
            "WX_SECRET": SECRET,
            "WX_TOKEN": PUSH_TOKEN,
            "PORT": str(port),
            "CHECKS": str(directory / "checks.db"),
        }
        async with (
            signer(session, config) as running,
            launch(sys.executable, str(example), environ=environ) as receiver,
        ):
            checked = Checked(app_id, wechat, running, cloud, receiver, f"http://127.0.0.1:{port}")

            async def is_set() -> bool:
                """WeChat verifies the URL, so the receiver must run."""
                push = {"url": f"{checked.url}/wechat", "token": PUSH_TOKEN}
                async with session.put(f"{cloud.wechat}/-/wechat/message-push/{app_id}", json=push) as response:
                    return response.status == 200

            await wait_until(is_set)
            yield checked


def definitions(cloud: Cloud, app_id: str, directory: Path, public: int, port: int) -> str:
    return f"""
version: 1
server:
  listen: 127.0.0.1:{public}
  admin: 127.0.0.1:0
  callback_queue: {directory / "callbacks.db"}
  callback_keys: {cloud.oss}/-/
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}
apps:
  {app_id}:
    bucket: photos
    region: cn-hangzhou
    domain: {cloud.oss}/photos
    credentials: r
    key_prefix: photos/{{caller}}/
    key: "{{uuid}}.{{ext}}"
    content_types: [image/jpeg, image/png]
    callers:
      - {{type: wechat, secret: "{SECRET}", endpoint: "{cloud.wechat}"}}
      - {{type: api_key, keys: {{checks: {sha256(KEY.encode()).hexdigest()}}}}}
    downloads: {{expires: 30m}}
    deletes: true
    callback:
      url: http://127.0.0.1:{public}/v1/apps/{app_id}/callback
      body: bucket=${{bucket}}&object=${{object}}&etag=${{etag}}
      notify: {{url: "http://127.0.0.1:{port}/uploads", secret: "{NOTIFY_SECRET}"}}
"""


async def test_risky_pictures_are_deleted_and_others_kept(outbound: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with content_check(outbound, tmp_path) as checked:
        kept = set()
        for suggest, user in (("pass", "anna"), ("risky", "anna"), ("review", "bert"), ("risky", "bert")):
            key = await checked.upload(suggest, user)
            if suggest != "risky":
                kept.add(key)
            assert await checked.receiver.read_line() == f"{suggest} {key}"
            assert await checked.stored() == kept
        assert (await checked.cloud.counts())["wechat.mediaCheckAsync"] == 4


@pytest.mark.slow
async def test_only_wechat_and_the_signer_are_believed(outbound: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with content_check(outbound, tmp_path) as checked:
        key = await checked.upload("pass")
        assert await checked.receiver.read_line() == f"pass {key}"
        query = {"signature": "0" * 40, "timestamp": "1714036504", "nonce": "1"}
        event = {"Event": "wxa_media_check", "trace_id": "1", "errcode": 0, "result": {"suggest": "risky"}}
        for path, params in (
            ("wechat", query),
            ("wechat", {}),
            ("wechat", {**query, "signature": "é"}),
            ("uploads", {}),
        ):
            async with outbound.post(f"{checked.url}/{path}", params=params, json=event) as response:
                assert response.status == 403
        async with outbound.get(f"{checked.url}/wechat", params={**query, "echostr": "x"}) as response:
            assert (response.status, await response.text()) == (403, "")
        assert await checked.stored() == {key}


@pytest.mark.slow
async def test_a_check_that_cannot_start_is_tried_again(outbound: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with content_check(outbound, tmp_path) as checked:
        code = await checked.wechat.code(checked.app_id)
        form = await checked.signer.upload_form(checked.app_id, {"filename": "a.jpg", "code": code})
        await checked.control(f"media-checks/{checked.app_id}", {"suggest": "risky"})
        await checked.wechat.set_faults({"kind": "throttling"})
        await post_object(outbound, form["url"], form["fields"], b"picture")
        assert (await checked.receiver.read_line()).startswith("WeChat: -1 ")
        assert await checked.stored() == {form["key"]}
        await checked.wechat.set_faults()
        while (line := await checked.receiver.read_line()) != f"risky {form['key']}":
            assert line.startswith("WeChat: -1 ")
        assert await checked.stored() == set()
