"""What a caller can upload it can download: names that phones send, from the request to the signed URL."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator
from hashlib import sha256

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.harness.local_cloud import local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.signer import Signer, signer

pytestmark = pytest.mark.asyncio(loop_scope="module")
module_fixture = functools.partial(pytest_asyncio.fixture, loop_scope="module")

API_KEY = "the-key-of-a-backend"
HEADERS = {"X-Api-Key": API_KEY, "X-Caller": "anna"}
NAMES = {
    "family of emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467.jpg",
    "newer emoji": "\U0001fae8 \U0001fa77.jpg",
    "rare Han": "\U00030edd\U000323af.jpg",
    "Persian with ZWNJ": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.pdf",
    "unassigned and private": "\u0378\ue000.jpg",
    "combining marks": "e\u0301te\u0301.png",
    "dollar": "cost $5 ${x}.pdf",
    "reordered": "\u202egpj.exe",
    "nothing left": "\u202e.jpg",
    "punctuation": "a+b %41 #1?&=~'\"<>|*.jpg",
}


@module_fixture(scope="module")
async def running(
    module_session: aiohttp.ClientSession, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Signer]:
    async with local_cloud(module_session) as cloud:
        bucket = await cloud.create_bucket("photos")
        config = tmp_path_factory.mktemp("names") / "signer.yaml"
        config.write_text(
            f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}
defaults:
  bucket: photos
  region: cn-hangzhou
  domain: "{bucket}"
  credentials: r
  key_prefix: "{{app}}/{{caller}}/"
  downloads: {{}}
  callers: {{type: api_key, keys: {{backend: {sha256(API_KEY.encode()).hexdigest()}}}}}
apps:
  client: {{}}
  named: {{key: "{{filename}}"}}
""",
            encoding="utf-8",
        )
        async with signer(module_session, config) as started:
            yield started


async def upload(running: Signer, app: str, name: str, content: bytes, **changes: str) -> str:
    form = await running.upload_form(app, {"filename": name}, HEADERS)
    fields: dict[str, str] = {**form["fields"], **changes}
    status, body, _ = await post_object(running.session, form["url"], fields, content)
    assert status == 200, body
    return fields["key"]


async def download(running: Signer, app: str, key: str) -> bytes:
    url = f"{running.public}/v1/apps/{app}/downloads"
    async with running.session.get(url, params={"key": key}, headers=HEADERS) as response:
        signed = await response.json()
        assert response.status == 200, signed
    async with running.session.get(URL(signed["url"], encoded=True)) as response:
        assert response.status == 200, await response.text()
        return await response.read()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_file_of_any_name_can_be_downloaded(name: str, running: Signer) -> None:
    uploaded = {app: await upload(running, app, name, name.encode()) for app in ("client", "named")}
    for app, key in uploaded.items():
        assert await download(running, app, key) == name.encode()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_name_that_the_client_chooses_can_be_downloaded(name: str, running: Signer) -> None:
    key = await upload(running, "client", "a.jpg", name.encode(), key=f"client/anna/own/{name}")
    assert await download(running, "client", key) == name.encode()


async def test_names_that_are_changed_alike_do_not_overwrite_each_other(running: Signer) -> None:
    names = ["a?.jpg", "a*.jpg", "a_.jpg", "x/a_.jpg", "\u202e.jpg", "\u2066.jpg", "\u202e.jpg"]
    keys = [await upload(running, "named", name, str(number).encode()) for number, name in enumerate(names)]
    assert [await download(running, "named", key) for key in keys] == [str(n).encode() for n in range(len(names))]
    assert keys[0] == f"named/anna/a_~{sha256(b'a?.jpg').hexdigest()[:8]}.jpg"
    assert re.fullmatch(r"named/anna/[0-9a-f]{32}~[0-9a-f]{8}\.jpg", keys[-1])
