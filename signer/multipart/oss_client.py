"""The signer's own calls to OSS for multipart uploads and deletes, with Alibaba's SDK in a thread of its own.

Import this module only where an app has multipart uploads or deletes: the SDK takes long to load.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import alibabacloud_oss_v2 as oss
import orjson
from alibabacloud_oss_v2.aio import AsyncClient
from alibabacloud_oss_v2.aio.transport import AioHttpClient

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import FetchFailed
from signer.dns_resolver import DnsResolver
from signer.multipart.bucket_calls import BucketCalls, OnCall
from signer.multipart.oss_refusals import translate
from signer.multipart.oss_results import BucketAddress, Completion, NoSuchObject, OssFailure, StoredObject, StoredPart
from signer.outbound import new_session
from signer.signing.multipart import MARK_NAME, MAX_PARTS
from signer.signing.v4 import Credential

T = TypeVar("T")

_CONNECT_SECONDS = 3.0
_DEADLINE_SECONDS = 10.0
_COMPLETION_SECONDS = 40.0
"""OSS joins the parts and calls the server of the app, which may take 5 s. WeChat ends a request after 60 s."""
_ATTEMPTS = 3
"""Of calls that have the same effect when they are repeated."""
_PARTS_PER_PAGE = 1000


class OssClient:
    """Calls OSS. Close it in the event loop that uses it."""

    def __init__(self, on_call: OnCall) -> None:
        """Create a client; `on_call` gets the operation, outcome and duration of each call."""
        self._sdk = SdkThread()
        self._calls = BucketCalls(on_call)
        self._http: AioHttpClient | None = None
        self._session: aiohttp.ClientSession | None = None
        self._resolver: DnsResolver | None = None

    async def initiate(
        self, address: BucketAddress, credential: Credential, key: str, headers: Mapping[str, str]
    ) -> str:
        """Start a multipart upload and return its id."""
        request = oss.InitiateMultipartUploadRequest(bucket=address.bucket, key=key, headers=dict(headers))
        result = await self._call(
            address,
            credential,
            "InitiateMultipartUpload",
            lambda client: client.initiate_multipart_upload(request),
            is_valid=lambda result: bool(result.upload_id),
        )
        return str(result.upload_id)

    async def list_parts(
        self, address: BucketAddress, credential: Credential, key: str, upload_id: str
    ) -> list[StoredPart]:
        """Return all parts in ascending order. Raises `NoSuchUpload`."""

        async def run(client: AsyncClient) -> list[StoredPart]:
            found: list[StoredPart] = []
            marker = 0
            for _ in range(MAX_PARTS // _PARTS_PER_PAGE + 1):
                request = oss.ListPartsRequest(
                    bucket=address.bucket,
                    key=key,
                    upload_id=upload_id,
                    max_parts=_PARTS_PER_PAGE,
                    part_number_marker=marker,
                )
                page = await client.list_parts(request)
                if page.upload_id != upload_id:
                    raise _unusable("ListParts")
                found += [StoredPart(part.part_number, part.size, part.etag) for part in page.parts or ()]
                if not page.is_truncated:
                    break
                marker = page.next_part_number_marker
            return found

        return await self._call(address, credential, "ListParts", run, attempts=_ATTEMPTS)

    async def complete(
        self,
        address: BucketAddress,
        credential: Credential,
        key: str,
        upload_id: str,
        *,
        parts: Sequence[StoredPart],
        headers: Mapping[str, str],
    ) -> Completion:
        """Make the parts an object. Raises `NoSuchUpload`, and `PartsMismatch` if a part has changed."""
        own = dict(headers)
        request = oss.CompleteMultipartUploadRequest(
            bucket=address.bucket,
            key=key,
            upload_id=upload_id,
            complete_multipart_upload=oss.CompleteMultipartUpload(
                parts=[oss.UploadPart(part_number=part.number, etag=part.etag) for part in parts]
            ),
            callback=own.pop("x-oss-callback", None),
            callback_var=own.pop("x-oss-callback-var", None),
            headers=own,
        )
        result = await self._call(
            address,
            credential,
            "CompleteMultipartUpload",
            lambda client: client.complete_multipart_upload(request),
            # OSS responds with the response of the callback, so HeadObject shows whether there is an object.
            is_valid=lambda result: bool(result.etag) or request.callback is not None,
            deadline_seconds=_COMPLETION_SECONDS,
        )
        if request.callback is None:
            return Completion(str(result.etag))
        return Completion("", _callback_response(result) if result.status_code == 200 else None)

    async def abort(self, address: BucketAddress, credential: Credential, key: str, upload_id: str) -> None:
        """Delete an upload and its parts. Raises `NoSuchUpload`."""
        request = oss.AbortMultipartUploadRequest(bucket=address.bucket, key=key, upload_id=upload_id)
        await self._call(
            address,
            credential,
            "AbortMultipartUpload",
            lambda client: client.abort_multipart_upload(request),
            is_valid=_has_no_content,
            attempts=_ATTEMPTS,
        )

    async def delete(self, address: BucketAddress, credential: Credential, key: str) -> None:
        """Delete an object, if there is one.

        See: https://help.aliyun.com/zh/oss/developer-reference/deleteobject
        """
        request = oss.DeleteObjectRequest(bucket=address.bucket, key=key)
        await self._call(
            address,
            credential,
            "DeleteObject",
            lambda client: client.delete_object(request),
            is_valid=_has_no_content,
            attempts=_ATTEMPTS,
        )

    async def find_object(self, address: BucketAddress, credential: Credential, key: str) -> StoredObject | None:
        """Return the object with this key, or None if there is none."""
        request = oss.HeadObjectRequest(bucket=address.bucket, key=key)
        try:
            found = await self._call(
                address,
                credential,
                "HeadObject",
                lambda client: client.head_object(request),
                is_valid=lambda result: bool(result.etag) and result.content_length is not None,
                attempts=_ATTEMPTS,
            )
        except NoSuchObject:
            return None
        return StoredObject(str(found.etag), int(found.content_length), (found.metadata or {}).get(MARK_NAME, ""))

    async def close(self) -> None:
        """Close all connections, and end the thread."""
        session, resolver = self._session, self._resolver

        async def close_connections() -> None:
            if session is not None and resolver is not None:
                await session.close()
                await resolver.close()

        if session is not None:
            with contextlib.suppress(FetchFailed):  # The thread ends in any case.
                await self._sdk.run(close_connections, deadline_seconds=_CONNECT_SECONDS, service="OSS")
        self._sdk.close()

    async def _call(
        self,
        address: BucketAddress,
        credential: Credential,
        operation: str,
        call: Callable[[AsyncClient], Awaitable[T]],
        *,
        is_valid: Callable[[T], bool] = lambda _: True,
        attempts: int = 1,
        deadline_seconds: float = _DEADLINE_SECONDS,
    ) -> T:
        """Return the result of a call. The SDK accepts any page with status 200 as OSS's; `is_valid` does not."""

        async def run() -> T:
            try:
                result = await call(AsyncClient(self._config(address, credential, attempts)))
            except OssFailure:
                raise
            except Exception as error:  # The SDK raises its own errors, and any other for a response it cannot parse.
                raise translate(error, operation, address.bucket) from None
            if not is_valid(result):
                raise _unusable(operation)
            return result

        async with self._calls.attempt(address, operation, deadline_seconds):
            return await self._sdk.run(run, deadline_seconds=deadline_seconds, service="OSS")

    def _config(self, address: BucketAddress, credential: Credential, attempts: int) -> oss.Config:
        """Return the configuration of one call; all calls share their connections. Runs in the thread."""
        if self._http is None:
            self._resolver = DnsResolver()
            self._session = new_session(self._resolver)
            self._http = AioHttpClient(
                session=self._session, connect_timeout=_CONNECT_SECONDS, readwrite_timeout=_COMPLETION_SECONDS
            )
        url = urlsplit(address.url)
        return oss.Config(
            region=address.region,
            endpoint=f"{url.scheme}://{url.netloc}",
            credentials_provider=oss.credentials.StaticCredentialsProvider(
                credential.access_key_id, credential.access_key_secret, credential.security_token
            ),
            http_client=self._http,
            retry_max_attempts=attempts,
            use_path_style=bool(url.path),
            use_cname=not url.path,
        )


def _has_no_content(result: Any) -> bool:
    return bool(result.status_code == 204)


def _unusable(operation: str) -> OssFailure:
    return OssFailure(f"{operation}: the response is not OSS's; a proxy may have sent it")


def _callback_response(result: Any) -> Any:
    try:
        return orjson.loads(result.callback_result)
    except (TypeError, ValueError):
        return None
