"""A signer of videos in the test's own process, with the local cloud as its OSS, and a client that uploads in parts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from random import Random
from types import MappingProxyType
from typing import Any, cast

import alibabacloud_oss_v2 as oss
from aiohttp.test_utils import TestClient
from alibabacloud_oss_v2.aio import AsyncClient
from yarl import URL

from signer.api.routes import public_routes
from signer.definitions.parser import parse
from signer.delivery.receiver import CallbackReceiver
from signer.service import Service
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service
from tests.harness.local_cloud import Cloud

API_KEY = "the-key-of-the-shop"
SECRET, NEW_SECRET = "a" * 32, "b" * 32
PART_BYTES = 100 * 1024
CONTENT = Random(18).randbytes(256_000)
"""Three parts, of which the last is smaller."""

Problem = dict[str, Any]


def definitions(cloud: Cloud, *, bucket: str = "videos", secret: str = SECRET, **changes: str) -> str:
    """Return definitions; `changes` replace or add keys of the app `video`, as YAML."""
    app = {
        "bucket": bucket,
        "domain": f"{cloud.oss}/{bucket}",
        "key_prefix": "v/{caller_hash}/",
        "multipart": "{part_size: 100KiB, max_size: 1MiB}",
        "max_size": "64KiB",
        "content_types": "[video/mp4, video/webm]",
        "meta": "[team]",
        **changes,
    }
    video = "\n".join(f"    {key}: {value}" for key, value in app.items())
    return f"""
version: 1
server: {{secret: {secret}}}
credentials:
  key: {{type: static, access_key_id: LTAI-local, access_key_secret: local-secret}}
defaults:
  region: cn-hangzhou
  credentials: key
  callers: {{type: api_key, keys: {{shop: {sha256(API_KEY.encode()).hexdigest()}}}}}
apps:
  video:
{video}
  other: {{bucket: videos, key_prefix: "v/{{caller_hash}}/", domain: "{cloud.oss}/videos", multipart: {{threshold: 1}}}}
  forms: {{bucket: videos, key_prefix: f/, domain: "{cloud.oss}/videos"}}
"""


@dataclass
class Response:
    """A response of the signer."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass
class VideoSigner:
    """A running signer and its cloud."""

    service: Service
    cloud: Cloud
    client: TestClient[Any, Any]

    async def post(
        self, path: str, body: Mapping[str, Any], *, app: str = "video", caller: str = "ann", key: str = API_KEY
    ) -> Response:
        """Send a request for a step, and return the response; an empty `path` starts an upload."""
        headers = {"X-Api-Key": key, "X-Caller": caller}
        url = f"/v1/apps/{app}/multipart{path}"
        async with self.client.post(url, data=BytesIO(json.dumps(body).encode()), headers=headers) as response:
            is_empty = response.status == 204
            return Response(
                response.status, None if is_empty else await response.json(content_type=None), response.headers
            )

    async def start(self, size: int = len(CONTENT), **members: Any) -> dict[str, Any]:
        """Start an upload and return the response."""
        response = await self.post("", {"filename": "trip.mp4", "size": size, **members})
        assert response.status == 201, response.body
        body: dict[str, Any] = response.body
        return body

    async def refusal(self, status: int, path: str, body: Mapping[str, Any], **options: Any) -> Problem:
        """Return the problem that a step is answered with."""
        response = await self.post(path, body, **options)
        assert response.status == status, response.body
        assert response.headers["Content-Type"].startswith("application/problem+json")
        return cast(Problem, response.body)

    async def put(
        self, part: Mapping[str, Any], data: bytes, headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, str]:
        """Send a part to OSS with more headers, and return the status with the ETag, or the error."""
        sent = {**part["headers"], **headers}
        async with self.cloud.session.request(
            part["method"], URL(part["url"], encoded=True), data=data, headers=sent
        ) as response:
            text = await response.text()
            return response.status, response.headers["ETag"] if response.status == 200 else text

    async def put_all(self, upload: Mapping[str, Any], content: bytes = CONTENT) -> list[dict[str, Any]]:
        """Send all parts of an upload of a few parts, and return them as a completion names them."""
        named = []
        for part in upload["parts"]:
            start = (part["part_number"] - 1) * upload["part_size"]
            status, etag = await self.put(part, content[start : start + part["size"]])
            assert status == 200, etag
            named.append({"part_number": part["part_number"], "etag": etag})
        return named

    def sdk(self) -> AsyncClient:
        """Return a client of Alibaba's SDK with the AccessKey of the account."""
        provider = oss.credentials.StaticCredentialsProvider("LTAI-local", "local-secret")
        config = oss.Config(
            region="cn-hangzhou", endpoint=self.cloud.oss, credentials_provider=provider, use_path_style=True
        )
        return AsyncClient(config)

    async def stored(self, bucket: str = "videos") -> list[str]:
        """Return the keys of all objects of a bucket."""
        return [str(each["key"]) for each in await self.cloud.objects(bucket)]

    async def redefine(self, text: str) -> None:
        """Replace the definitions, as a reload does."""
        await self.service.activate(parse({"signer.yaml": text}, {}), settle_seconds=1)


@contextlib.asynccontextmanager
async def video_signer(cloud: Cloud, text: str) -> AsyncIterator[VideoSigner]:
    """Run a signer with these definitions."""
    async with running_service(text) as service:
        router = public_routes(service, cast(CallbackReceiver, None))
        client: TestClient[Any, Any] = TestClient(HttpTestServer(service, router, ADAPTERS["fast"]))
        async with client:
            yield VideoSigner(service, cloud, client)


def names(parts: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Return number and size of each part."""
    return [(part["part_number"], part["size"]) for part in parts]
