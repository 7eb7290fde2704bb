"""Downloads of apps with temporary credentials, which are signed with the caller's own."""

from __future__ import annotations

from typing import Any

import alibabacloud_oss_v2 as oss
import pytest

from tests.harness.local_cloud import Cloud
from tests.localcloud.test_bucket_queries import refused
from tests.temporary_credentials.conftest import (
    CredentialSigner,
    account_client,
    credential_signer,
    definitions,
    sdk_client,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHARED = "banners/a.jpg"


async def signed(photos: CredentialSigner, *keys: str, caller: str = "ann") -> list[dict[str, Any]]:
    """Return the downloads of a request for several objects."""
    response = await photos.request("POST", "downloads", caller=caller, json={"keys": keys})
    assert response.status == 200, response.body
    downloads: list[dict[str, Any]] = response.body["downloads"]
    return downloads


async def test_the_urls_of_a_window_are_the_same_and_have_the_token_of_the_caller(cloud: Cloud) -> None:
    text = definitions(cloud, downloads="{expires: 5m, window: 20m}", temporary_credentials="{duration: 1h}")
    # The role's own tokens may be shorter: they sign no downloads.
    async with credential_signer(cloud, text.replace("uploader: {", "uploader: {duration: 25m, ")) as photos:
        document = await photos.issue()
        first = await signed(photos, "p/ann/a", "p/ann/b")
        assert await signed(photos, "p/ann/a", "p/ann/b") == first
        assert all(document["AccessKeyId"] in each["url"] for each in first)
        [of_bob] = await signed(photos, "p/bob/a", caller="bob")
        assert document["AccessKeyId"] not in of_bob["url"]


async def test_every_caller_reads_below_the_shared_prefixes_and_none_writes_there(cloud: Cloud) -> None:
    async with account_client(cloud) as account:
        await account.put_object(oss.PutObjectRequest(bucket="photos", key=SHARED, body=b"for all"))
    async with credential_signer(cloud, definitions(cloud, downloads="{also: [banners/]}")) as photos:
        assert await photos.download(SHARED) == (200, b"for all")
        async with sdk_client(await photos.issue()) as ann:
            assert await (await ann.get_object(oss.GetObjectRequest(bucket="photos", key=SHARED))).body.read()
            put = ann.put_object(oss.PutObjectRequest(bucket="photos", key=SHARED, body=b"of ann"))
            assert (await refused(put))[1] == "AccessDenied"


async def test_a_cached_credential_signs_downloads_as_long_as_it_covers_them(photos: CredentialSigner) -> None:
    before = await photos.assumed()
    document = await photos.issue("eve")
    [download] = await signed(photos, "p/eve/a", caller="eve")
    assert document["AccessKeyId"] in download["url"]
    assert await photos.assumed() == before + 1
