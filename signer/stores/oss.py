"""`--config oss://bucket/key?region=cn-hangzhou`: definitions in an object, read with this ECS instance's role.

Alibaba's SDK signs the requests with V4 headers. It runs in a thread of its own, with a deadline.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeVar
from urllib.parse import unquote

import aiohttp
import alibabacloud_oss_v2 as oss
from alibabacloud_oss_v2.aio import AsyncClient

from signer.clock import utc_now
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import FetchFailed
from signer.credentials.sources.ecs_ram_role import METADATA_HOST, EcsRamRoleSource
from signer.signing.v4 import Credential
from signer.stores import bundle, store_url
from signer.stores.polling import PolledStore
from signer.stores.protocol import CannotRead, Snapshot, StoreIsEmpty

_STEP_SECONDS = 5.0
_ATTEMPTS = 2
_DEADLINE_SECONDS = 15.0
_REFRESH_BEFORE_EXPIRY = timedelta(minutes=5)
_OPTIONS = ("region", "endpoint", "role_name", "metadata", "poll")

T = TypeVar("T")


class OssStore(PolledStore):
    """An object in a bucket."""

    def __init__(self, url: str, _environ: Mapping[str, str]) -> None:
        """Create a store; raise `CannotRead` if the URL is invalid."""
        parts = store_url.parse_url(url)
        location = store_url.printable_url(parts._replace(query=""))
        if parts.username is not None or parts.fragment:
            fix = "remove them, the role of the instance reads the object"
            raise CannotRead(f"--config {location}: an AccessKey and a fragment (#) are not allowed; {fix}")
        options = store_url.parse_options(parts.query, _OPTIONS, location)
        super().__init__(location, store_url.poll_seconds(options, location))
        self._bucket, self._key = parts.netloc, unquote(parts.path.removeprefix("/"))
        if not (self._bucket and self._key and options.get("region")):
            raise CannotRead(f"--config {location}: incomplete; write oss://BUCKET/KEY?region=cn-hangzhou")
        self._region, self._endpoint = options["region"], options.get("endpoint") or None
        self._sdk = SdkThread()
        self._role = EcsRamRoleSource(
            sdk=self._sdk,
            endpoint=options.get("metadata") or f"http://{METADATA_HOST}",
            role_name=options.get("role_name"),
            deadline_seconds=_DEADLINE_SECONDS,
        )
        self._credential: Credential | None = None

    async def close(self) -> None:
        self._sdk.close()

    async def _fetch(self) -> tuple[Snapshot, str]:
        etag, data = await self._call(self._get_object)
        return await asyncio.to_thread(bundle.parse_snapshot, self.location, data), etag

    async def _fetch_version(self) -> str:
        # See: https://help.aliyun.com/zh/oss/developer-reference/headobject
        request = oss.HeadObjectRequest(bucket=self._bucket, key=self._key)
        return str((await self._call(lambda client: client.head_object(request))).etag)

    async def _get_object(self, client: AsyncClient) -> tuple[str, bytes]:
        """Return the ETag and the content of the object; of a too large one, only what shows that it is too large."""
        # See: https://help.aliyun.com/zh/oss/developer-reference/getobject
        response = await client.get_object_as_stream(oss.GetObjectRequest(bucket=self._bucket, key=self._key))
        data = bytearray()
        async with response.body as body:
            async for chunk in await body.iter_bytes():
                data += chunk
                if len(data) > bundle.MAX_BYTES:
                    break
        return str(response.etag), bytes(data)

    async def _call(self, operation: Callable[[AsyncClient], Awaitable[T]]) -> T:
        """Run an operation of the SDK with a valid credential; all its errors become `CannotRead`."""
        try:
            credential = await self._valid_credential()
            keys = (credential.access_key_id, credential.access_key_secret, credential.security_token)
            config = oss.Config(
                region=self._region,
                endpoint=self._endpoint,
                credentials_provider=oss.credentials.StaticCredentialsProvider(*keys),
                connect_timeout=_STEP_SECONDS,
                readwrite_timeout=_STEP_SECONDS,
                retry_max_attempts=_ATTEMPTS,
            )

            async def run() -> T:
                async with AsyncClient(config) as client:
                    return await operation(client)

            return await self._sdk.run(run, deadline_seconds=_DEADLINE_SECONDS, service="OSS")
        except FetchFailed as error:
            raise CannotRead(f"{self.location}: {error}") from None
        except oss.exceptions.BaseError as error:
            self._credential = None
            raise self._explain(error) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CannotRead(f"{self.location}: the response ended early ({type(error).__name__})") from None

    async def _valid_credential(self) -> Credential:
        """Return the latest credential; fetch another one before it expires, at the latest when it has expired."""
        current = self._credential
        expiration = utc_now() if current is None or current.expiration is None else current.expiration
        if current is None or expiration - utc_now() < _REFRESH_BEFORE_EXPIRY:
            try:
                current = self._credential = await self._role.fetch()
            except (FetchFailed, aiohttp.ClientError) as error:
                if current is None or expiration <= utc_now():
                    reason = f"the metadata service: {type(error).__name__}"
                    raise error if isinstance(error, FetchFailed) else FetchFailed(reason) from None
        return current

    def _explain(self, error: oss.exceptions.BaseError) -> CannotRead:
        """Return an error without the SDK's text, which contains the signed request."""
        while isinstance(error, oss.exceptions.OperationError):
            error = error.unwrap()
        if not isinstance(error, oss.exceptions.ServiceError):
            reason = type(error).__name__
            return CannotRead(f"{self.location}: cannot connect to OSS ({reason}); check region and endpoint")
        if error.status_code == 404:
            return StoreIsEmpty(f"{self.location}: no such bucket or object (404); check both names")
        code = f"{error.status_code} {error.code}{f', EC {error.ec}' if error.ec else ''}"
        fix = "; allow oss:GetObject on it to the role" if error.code == "AccessDenied" else ""
        return CannotRead(f"{self.location}: OSS rejected the request ({code}){fix}")
