"""ali-oss in Chromium, with the constructor and the refresh that docs/miniprogram.md shows."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page

from tests.callers.stub import body, stub
from tests.harness.browser import chromium, new_page
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.npm import install_packages
from tests.harness.processes import ROOT
from tests.temporary_credentials.conftest import API_KEY, CredentialSigner, credential_signer, definitions

pytestmark = pytest.mark.slow

ORACLE = ROOT / "tests" / "oracle"
PART_BYTES = 100 * 1024
CONTENT = Random(19).randbytes(5 * PART_BYTES + 1)

UPLOADS = """async ([create, given]) => {
  const bytes = Uint8Array.from(atob(given.content), (each) => each.charCodeAt(0));
  const file = new File([bytes], "旅行.jpg", { type: "image/jpeg" });
  const createClient = () => new (async () => {}).constructor("file", `${create}; return { client, target }`)(file);
  const { client, target } = await createClient();
  const ids = new Set([client.options.accessKeyId]);
  const key = `${target.key_prefix}large.jpg`;
  let checkpoint;
  const interrupted = await client.multipartUpload(key, file, {
    partSize: given.partSize, parallel: 1,
    progress: (_, latest) => {
      checkpoint = latest;
      if (latest && latest.doneParts.length === 2) client.cancel();
    },
  }).catch((error) => error.name);
  const second = (await createClient()).client;
  const sent = [];
  await second.multipartUpload(key, file, {
    checkpoint, parallel: 1,
    progress: async (_, latest) => {
      ids.add(second.options.accessKeyId);
      if (latest) sent.push(latest.doneParts.length);
      if (latest && latest.doneParts.length === 3) await window.revoke();
    },
  });
  ids.add(second.options.accessKeyId);
  const code = (error) => error.code;
  const read = await second.get(key);
  return {
    interrupted, sent, ids: ids.size, read: read.content.length,
    refused: [
      await second.put("p/bob/a.jpg", file).catch(code),
      await second.get("p/bob/secret.jpg").catch(code),
      await second.delete(key).catch(code),
    ],
  };
}"""


def recipe(document: str) -> str:
    """Return the code that a document shows."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    [found] = re.findall(r"^```js\n(const credential = async.*?)^```$", text, re.M | re.S)
    return str(found)


@pytest.fixture
async def photos() -> AsyncIterator[CredentialSigner]:
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session, "--bucket", "photos=cn-hangzhou", public_read=False) as cloud,
    ):
        # A domain of the bucket: ali-oss for browsers does not put the bucket into the path of an address.
        domain = f"http://photos.oss-cn-hangzhou.localhost:{cloud.oss.rpartition(':')[2]}"
        async with credential_signer(cloud, definitions(cloud, domain=domain, cors_origins='["*"]')) as photos:
            yield photos


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page with ali-oss."""
    await install_packages(ORACLE)
    async with (
        stub(body(b"<!doctype html><title>ali-oss</title>", headers={"Content-Type": "text/html"})) as server,
        chromium() as browser,
        new_page(browser, 800, 600) as page,
    ):
        await page.goto(server.url)
        await page.add_script_tag(path=ORACLE / "node_modules/ali-oss/dist/aliyun-oss-sdk.min.js")
        yield page


def test_both_documents_show_the_same() -> None:
    assert recipe("miniprogram.md") == recipe("miniprogram.zh-CN.md")


async def test_ali_oss_puts_resumes_and_refreshes_in_the_middle(photos: CredentialSigner, page: Page) -> None:
    cloud: Cloud = photos.cloud
    create = recipe("miniprogram.md")
    for shown, here in (
        (
            "https://sign.example.com/v1/apps/APP_ID/credentials",
            str(photos.client.make_url("/v1/apps/photos/credentials")),
        ),
        ("Authorization: `Bearer ${localStorage.getItem('token')}`", f"'X-Api-Key': '{API_KEY}', 'X-Caller': 'ann'"),
        # Each request refreshes it.
        ("5 * 60 * 1000", "1"),
    ):
        assert create.count(shown) == 1
        create = create.replace(shown, here)

    async def revoke() -> None:
        """End all credentials that were issued until now, at the signer and at OSS."""
        await photos.service.credentials.replace_tokens("uploader", keep=False, timeout_seconds=10)
        await cloud.set_faults(sts={"kind": "revoked"})
        await cloud.set_faults()

    await page.expose_function("revoke", revoke)
    given: dict[str, Any] = {"content": base64.b64encode(CONTENT).decode(), "partSize": PART_BYTES}
    result = await asyncio.wait_for(page.evaluate(UPLOADS, [create, given]), 60)
    assert result == {
        "interrupted": "cancel",
        # The third part is the first one that the second client sends.
        "sent": [3, 4, 5, 6],
        "ids": 2,
        "read": len(CONTENT),
        "refused": ["AccessDenied"] * 3,
    }
    stored = {str(each["key"]): each for each in await cloud.objects("photos")}
    assert len(stored) == 3
    assert stored["p/ann/large.jpg"]["size_bytes"] == len(CONTENT)
    for key in stored.keys() - {"p/ann/large.jpg"}:
        assert re.fullmatch(r"p/ann/[0-9a-f-]{36}\.jpg", key)
