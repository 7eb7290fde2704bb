"""`--config oss://bucket/key?region=cn-hangzhou`: an object, read with the credential of this ECS instance's role.

By Alibaba's SDK, which signs with V4 headers; it runs in a thread of its own and never longer than its deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
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
from signer.stores import address, bundle
from signer.stores.polling import Polling
from signer.stores.protocol import CannotRead, NothingThere, Snapshot

_POLL_SECONDS = 10.0
_STEP_SECONDS = 5.0
_ATTEMPTS = 2
_DEADLINE_SECONDS = 15.0
_RENEW_BEFORE = timedelta(minutes=5)
_OPTIONS = ("region", "endpoint", "role_name", "metadata", "poll")

T = TypeVar("T")


class OssStore:
    def __init__(self, url: str, _environ: Mapping[str, str]) -> None:
        """Raises `CannotRead`."""
        parts = address.parts(url)
        self.location = address.location(parts._replace(query=""))
        if parts.username is not None or parts.fragment:
            raise CannotRead(
                f"--config {self.location}: takes no AccessKey and nothing behind #; the instance's role reads it"
            )
        options = address.options(parts.query, _OPTIONS, self.location)
        self._bucket, self._key = parts.netloc, unquote(parts.path.removeprefix("/"))
        if not (self._bucket and self._key and options.get("region")):
            raise CannotRead(f"--config {self.location}: write oss://BUCKET/KEY?region=cn-hangzhou")
        self._region, self._endpoint = options["region"], options.get("endpoint") or None
        self._polling = Polling(self._look, address.poll_seconds(options, _POLL_SECONDS, self.location))
        self._sdk = SdkThread()
        self._role = EcsRamRoleSource(
            self._sdk,
            endpoint=options.get("metadata") or f"http://{METADATA_HOST}",
            role_name=options.get("role_name"),
            deadline_seconds=_DEADLINE_SECONDS,
        )
        self._credential: Credential | None = None

    async def load(self) -> Snapshot:
        self._polling.loaded = None
        etag, data = await self._call(self._read)
        snapshot = await asyncio.to_thread(bundle.snapshot, self.location, data)
        self._polling.loaded = etag
        return snapshot

    def watch(self) -> AsyncIterator[None]:
        return self._polling.changes()

    async def close(self) -> None:
        self._sdk.close()

    async def _look(self) -> str:
        return await self._call(self._etag)

    async def _etag(self, client: AsyncClient) -> str:
        found = await client.head_object(oss.HeadObjectRequest(bucket=self._bucket, key=self._key))
        return str(found.etag)

    async def _read(self, client: AsyncClient) -> tuple[str, bytes]:
        """At most one chunk more than is allowed."""
        found = await client.get_object_as_stream(oss.GetObjectRequest(bucket=self._bucket, key=self._key))
        data = bytearray()
        async with found.body as body:
            async for chunk in await body.iter_bytes():
                data += chunk
                if len(data) > bundle.MAX_BYTES:
                    break
        return str(found.etag), bytes(data)

    async def _call(self, ask: Callable[[AsyncClient], Awaitable[T]]) -> T:
        """Raises `CannotRead`."""
        try:
            credential = await self._usable()

            async def asked() -> T:
                async with AsyncClient(self._config(credential)) as client:
                    return await ask(client)

            return await self._sdk.run(asked, deadline_seconds=_DEADLINE_SECONDS)
        except FetchFailed as error:
            raise CannotRead(f"{self.location}: {error}") from None
        except oss.exceptions.BaseError as error:
            self._credential = None
            raise self._told(error) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CannotRead(f"{self.location}: the answer broke off ({type(error).__name__})") from None

    async def _usable(self) -> Credential:
        """One that has not ended, renewed in good time. Raises `FetchFailed`."""
        held, now = self._credential, utc_now()
        if held is not None and held.expiration is not None and held.expiration > now:
            if held.expiration - now > _RENEW_BEFORE:
                return held
            with contextlib.suppress(FetchFailed):
                self._credential = await self._fetched()
            return self._credential or held
        self._credential = await self._fetched()
        return self._credential

    async def _fetched(self) -> Credential:
        try:
            return await self._role.fetch()
        except aiohttp.ClientError as error:
            raise FetchFailed(f"the metadata service: {type(error).__name__}") from None

    def _config(self, credential: Credential) -> oss.Config:
        return oss.Config(
            region=self._region,
            endpoint=self._endpoint,
            credentials_provider=oss.credentials.StaticCredentialsProvider(
                credential.access_key_id, credential.access_key_secret, credential.security_token
            ),
            connect_timeout=_STEP_SECONDS,
            readwrite_timeout=_STEP_SECONDS,
            retry_max_attempts=_ATTEMPTS,
        )

    def _told(self, error: oss.exceptions.BaseError) -> CannotRead:
        """In our words: an error of the SDK holds the signed request."""
        while isinstance(error, oss.exceptions.OperationError):
            error = error.unwrap()
        if not isinstance(error, oss.exceptions.ServiceError):
            return CannotRead(f"{self.location}: OSS cannot be reached ({type(error).__name__})")
        if error.status_code == 404:
            return NothingThere(f"{self.location}: no such bucket or object (404)")
        code = f"{error.status_code} {error.code}{f', EC {error.ec}' if error.ec else ''}"
        mend = "; the role needs oss:GetObject on it" if error.code == "AccessDenied" else ""
        return CannotRead(f"{self.location}: OSS refused ({code}){mend}")
