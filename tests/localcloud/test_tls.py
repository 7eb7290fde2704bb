"""HTTPS with an authority of its own, and the credential SDKs, which call STS over HTTPS only."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_credentials.provider import RamRoleArnCredentialsProvider, StaticAKCredentialsProvider

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.npm import install_packages
from tests.harness.processes import run
from tests.localcloud.forms import Key
from tests.localcloud.presigned import presigned
from tests.localcloud.sdk import ROLE

ORACLE = Path(__file__).parents[1] / "oracle"


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    return tmp_path / "ca.pem"


@pytest.fixture
async def cloud(ca_file: Path) -> AsyncIterator[Cloud]:
    options = ("--bucket", "photos=cn-hangzhou", "--tls", str(ca_file))
    async with aiohttp.ClientSession() as session, local_cloud(session, *options) as running:
        yield running


async def upload_and_read(cloud: Cloud, ca_file: Path, key: Key) -> bytes:
    """Put an object and read it with a token."""
    trust = ssl.create_default_context(cafile=ca_file)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        async with session.put(
            presigned(cloud.oss, "PUT", "a", {}, {}, signer=key), data=b"hello", skip_auto_headers=["Content-Type"]
        ) as answer:
            assert answer.status == 200, await answer.text()
        async with session.get(presigned(cloud.oss, "GET", "a", {}, {}, signer=key)) as answer:
            return await answer.read()


async def test_only_clients_that_trust_the_authority_connect(
    cloud: Cloud, ca_file: Path, session: aiohttp.ClientSession
) -> None:
    assert cloud.metadata.startswith("http://")
    for address in (cloud.sts, cloud.oss, cloud.wechat):
        assert address.startswith("https://")
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{address}/-/counts")
        async with session.get(f"{address}/-/counts", ssl=ssl.create_default_context(cafile=ca_file)) as answer:
            assert answer.status == 200


async def test_the_credential_sdk_of_python_assumes_a_role(
    cloud: Cloud, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    provider = RamRoleArnCredentialsProvider(
        credentials_provider=StaticAKCredentialsProvider(access_key_id="LTAI-local", access_key_secret="local-secret"),
        role_arn=ROLE,
        role_session_name="phone",
        sts_endpoint=cloud.sts.removeprefix("https://"),
    )
    found = await asyncio.to_thread(provider.get_credentials)
    key = Key(found.get_access_key_id(), found.get_access_key_secret(), found.get_security_token())
    assert await upload_and_read(cloud, ca_file, key) == b"hello"


async def test_the_sdk_of_oss_uses_https(cloud: Cloud, ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
    provider = oss.credentials.StaticCredentialsProvider("LTAI-local", "local-secret")
    client = oss.Client(oss.Config(region="cn-hangzhou", endpoint=cloud.oss, credentials_provider=provider))
    await asyncio.to_thread(client.put_object, oss.PutObjectRequest(bucket="photos", key="b", body=b"x"))
    head = await asyncio.to_thread(client.head_object, oss.HeadObjectRequest(bucket="photos", key="b"))
    assert head.content_length == 1


@pytest.mark.slow
async def test_the_credential_sdk_of_node_assumes_a_role(cloud: Cloud, ca_file: Path) -> None:
    await install_packages(ORACLE)
    given = {
        "type": "ram_role_arn",
        "accessKeyId": "LTAI-local",
        "accessKeySecret": "local-secret",
        "roleArn": ROLE,
        "roleSessionName": "phone",
        "stsEndpoint": cloud.sts.removeprefix("https://"),
    }
    environ = {"NODE_EXTRA_CA_CERTS": str(ca_file)}
    result = await run("node", ORACLE / "credentials.cjs", stdin=json.dumps(given), environ=environ)
    assert result.status == 0, result.err
    found = json.loads(result.out)
    key = Key(found["accessKeyId"], found["accessKeySecret"], found["securityToken"])
    assert await upload_and_read(cloud, ca_file, key) == b"hello"
