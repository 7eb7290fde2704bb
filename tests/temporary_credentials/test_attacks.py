"""What a caller with a temporary credential must not do. Alibaba's SDK sends, and the local cloud judges."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient

from tests.harness.local_cloud import Cloud
from tests.localcloud.forms import Key
from tests.localcloud.sdk import assume, key_of
from tests.localcloud.test_bucket_queries import client, refused
from tests.temporary_credentials.conftest import (
    CredentialSigner,
    account_client,
    credential_signer,
    definitions,
    sdk_client,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "p/bob/secret.txt"


@pytest.fixture(autouse=True)
async def of_bob(photos: CredentialSigner) -> None:
    async with account_client(photos.cloud) as account:
        await account.put_object(oss.PutObjectRequest(bucket="photos", key=SECRET, body=b"of bob"))


async def link_to_bob(sdk: AsyncClient) -> None:
    await sdk.put_symlink(oss.PutSymlinkRequest(bucket="photos", key="p/ann/link", symlink_target=SECRET))


Attack = Callable[[AsyncClient], Any]
ATTACKS: dict[str, Attack] = {
    "write for another caller": lambda sdk: sdk.put_object(oss.PutObjectRequest(bucket="photos", key=SECRET, body=b"")),
    "read of another caller": lambda sdk: sdk.get_object(oss.GetObjectRequest(bucket="photos", key=SECRET)),
    "write for a caller whose id begins the same": lambda sdk: sdk.put_object(
        oss.PutObjectRequest(bucket="photos", key="p/anna/a", body=b"")
    ),
    "write above the prefix": lambda sdk: sdk.put_object(oss.PutObjectRequest(bucket="photos", key="p/a", body=b"")),
    "write to a key with the prefix inside": lambda sdk: sdk.put_object(
        oss.PutObjectRequest(bucket="photos", key="p/bob/p/ann/a", body=b"")
    ),
    "copy from another caller": lambda sdk: sdk.copy_object(
        oss.CopyObjectRequest(bucket="photos", key="p/ann/copy", source_key=SECRET)
    ),
    "start parts for another caller": lambda sdk: sdk.initiate_multipart_upload(
        oss.InitiateMultipartUploadRequest(bucket="photos", key=SECRET)
    ),
    "link of another caller": lambda sdk: sdk.put_symlink(
        oss.PutSymlinkRequest(bucket="photos", key=SECRET, symlink_target="p/ann/a")
    ),
    "delete": lambda sdk: sdk.delete_object(oss.DeleteObjectRequest(bucket="photos", key="p/ann/a")),
    "list the bucket": lambda sdk: sdk.list_objects_v2(oss.ListObjectsV2Request(bucket="photos")),
    "make an object public": lambda sdk: sdk.put_object_acl(
        oss.PutObjectAclRequest(bucket="photos", key="p/ann/a", acl="public-read")
    ),
    "tag": lambda sdk: sdk.put_object(
        oss.PutObjectRequest(bucket="photos", key="p/ann/a", body=b"", tagging="scan=clean")
    ),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_oss_refuses_it(photos: CredentialSigner, attack: Attack) -> None:
    async with sdk_client(await photos.issue()) as ann:
        await ann.put_object(oss.PutObjectRequest(bucket="photos", key="p/ann/a", body=b"1"))
        assert (await refused(attack(ann)))[:2] == (403, "AccessDenied")
    async with account_client(photos.cloud) as account:
        read = await account.get_object(oss.GetObjectRequest(bucket="photos", key=SECRET))
        assert await read.body.read() == b"of bob"


async def test_a_link_to_an_object_of_another_caller_is_of_no_use(cloud: Cloud, photos: CredentialSigner) -> None:
    async with sdk_client(await photos.issue()) as ann:
        await link_to_bob(ann)
        reading = oss.GetObjectRequest(bucket="photos", key="p/ann/link")
        assert (await refused(ann.get_object(reading)))[:2] == (403, "AccessDenied")
    assert (await photos.download("p/ann/link"))[0] == 403
    signed = await photos.request("POST", "downloads", json={"keys": ["p/ann/link"]})
    async with cloud.session.get(signed.body["downloads"][0]["url"]) as response:
        assert response.status == 403
    # The credential of the role, with which other apps sign their downloads, may read the target.
    async with client(cloud, key_of(await assume(cloud))) as role:
        assert await (await role.get_object(reading)).body.read() == b"of bob"


async def test_a_wildcard_crosses_slashes_so_a_prefix_with_a_day_before_the_caller_is_no_limit(cloud: Cloud) -> None:
    """The local cloud does what `check` warns of: `p/*/ann/*` matches the objects of others."""
    statement = {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "acs:oss:*:*:photos/p/*/ann/*"}
    key: Key = key_of(await assume(cloud, policy=json.dumps({"Version": "1", "Statement": [statement]})))
    async with account_client(cloud) as account, client(cloud, key) as ann:
        await account.put_object(oss.PutObjectRequest(bucket="photos", key="p/2026/bob/ann/a", body=b"of bob"))
        read = await ann.get_object(oss.GetObjectRequest(bucket="photos", key="p/2026/bob/ann/a"))
        assert await read.body.read() == b"of bob"


async def test_a_credential_allows_only_the_actions_of_the_app(cloud: Cloud) -> None:
    named = {"bucket": "photos", "key": "p/ann/a"}
    text = definitions(cloud, temporary_credentials="{actions: [read]}")
    async with credential_signer(cloud, text) as photos, sdk_client(await photos.issue()) as ann:
        assert (await refused(ann.put_object(oss.PutObjectRequest(**named, body=b""))))[1] == "AccessDenied"
    text = definitions(cloud, temporary_credentials="{actions: [upload]}").replace("    downloads: {}\n", "")
    async with credential_signer(cloud, text) as photos, sdk_client(await photos.issue()) as ann:
        await ann.put_object(oss.PutObjectRequest(**named, body=b""))
        assert (await refused(ann.get_object(oss.GetObjectRequest(**named))))[1] == "AccessDenied"
        upload = await ann.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(**named))
        parts = ann.list_parts(oss.ListPartsRequest(**named, upload_id=upload.upload_id))
        assert (await refused(parts))[1] == "AccessDenied"


async def test_a_credential_never_allows_more_than_the_role(cloud: Cloud) -> None:
    statement = {"Effect": "Allow", "Action": ["oss:PutObject"], "Resource": ["acs:oss:*:*:photos/p/*"]}
    policy = {"Version": "1", "Statement": [statement]}
    async with credential_signer(cloud, definitions(cloud, key_prefix="'{caller}/'")) as photos:
        document = await photos.issue("ann")
        async with cloud.session.put(f"{cloud.oss}/-/roles/oss-upload", json={"policy": policy}) as response:
            assert response.status == 200
        try:
            async with sdk_client(document) as ann:
                put = ann.put_object(oss.PutObjectRequest(bucket="photos", key="ann/a", body=b""))
                assert (await refused(put))[1] == "AccessDenied"
        finally:
            async with cloud.session.put(f"{cloud.oss}/-/roles/oss-upload", json={"policy": None}) as response:
                assert response.status == 200
