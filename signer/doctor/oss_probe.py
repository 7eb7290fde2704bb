"""OSS as the steps ask it: through Alibaba's SDK with a role's own token, its refusals in our words."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree

import aiohttp
import alibabacloud_oss_v2 as oss
from alibabacloud_oss_v2.aio import AsyncClient

from signer.doctor.http_probe import Asking, NoAnswer, why
from signer.doctor.plan import BucketUse
from signer.signing.v4 import Credential

T = TypeVar("T")

_SIGNING_REGION = ("0002-00000226", "0002-00000228")
_OTHER_ENDPOINT = "must be addressed using the specified endpoint"


class Refused(Exception):
    """OSS's own error; the text is fit to be told."""

    def __init__(self, status: int, code: str, ec: str, message: str, endpoint: str) -> None:
        super().__init__(f"OSS answers {status} {code}{f', EC {ec}' if ec else ''}")
        self.status, self.code, self.ec = status, code, ec
        self.elsewhere = ec in _SIGNING_REGION or _OTHER_ENDPOINT in message or bool(endpoint)
        """Whether the bucket is in another region than the one that was asked."""
        self.region = endpoint.partition(".")[0].removeprefix("oss-").removesuffix("-internal") or None
        """Which one, where OSS says it."""

    @property
    def denied(self) -> bool:
        return self.code == "AccessDenied" and not self.elsewhere


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where OSS is asked: `https://oss-{region}.aliyuncs.com`, or the local cloud's."""

    template: str

    def of(self, region: str) -> str:
        return self.template.replace("{region}", region).rstrip("/")

    def bucket_url(self, use: BucketUse) -> str:
        url = urlsplit(self.of(use.region))
        if "{region}" not in self.template:
            return f"{url.scheme}://{url.netloc}/{use.bucket}"
        return f"{url.scheme}://{use.bucket}.{url.netloc}"


class Oss:
    def __init__(self, asking: Asking, endpoint: Endpoint) -> None:
        self._asking = asking
        self.endpoint = endpoint

    async def call(
        self,
        use: BucketUse,
        credential: Credential,
        ask: Callable[[AsyncClient], Awaitable[T]],
        *,
        url: str | None = None,
    ) -> T:
        """`url`: an address of the bucket's own, in place of the region's endpoint. Raises `Refused`, `NoAnswer`."""

        async def asked() -> T:
            async with AsyncClient(self._config(use, credential, url)) as client:
                return await ask(client)

        return await self._told(use, asked)

    async def bucket_cors(self, use: BucketUse, credential: Credential) -> Any:
        """GetBucketCors, which only the SDK's other client has. Raises `Refused`, `NoAnswer`."""
        client = oss.Client(self._config(use, credential, None))
        request = oss.GetBucketCorsRequest(bucket=use.bucket)
        return await self._told(use, lambda: asyncio.to_thread(client.get_bucket_cors, request))

    async def _told(self, use: BucketUse, ask: Callable[[], Awaitable[T]]) -> T:
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(self._asking.timeout_seconds):
                return await ask()
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._asking.timeout_seconds:g} s") from None
        except oss.exceptions.BaseError as error:
            inner: Any = error
            while isinstance(inner, oss.exceptions.OperationError):
                inner = inner.unwrap()
            if not isinstance(inner, oss.exceptions.ServiceError):
                unwrapped = inner.unwrap() if hasattr(inner, "unwrap") else inner
                raise NoAnswer(why(unwrapped)) from None
            self._asking.note_date(_server(self.endpoint.of(use.region)), (inner.headers or {}).get("Date"), asked_at)
            fields = inner.error_fileds or {}
            raise Refused(
                inner.status_code, inner.code or "", inner.ec or "", inner.message or "", fields.get("Endpoint") or ""
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(why(error)) from None

    async def read_nothing(self, use: BucketUse, credential: Credential, url: str | None = None) -> None:
        """Asks for an object that nobody made. Raises `Refused`: only of the right bucket is it NoSuchKey or denied."""
        request = oss.GetObjectRequest(bucket=use.bucket, key=made_up_name())
        await self.call(use, credential, lambda client: client.get_object(request), url=url)

    async def unsigned(self, use: BucketUse) -> Refused:
        """What OSS says to somebody without a signature: a private bucket refuses, but not as one that is not there."""
        answer = await self._asking.get(f"{self.endpoint.bucket_url(use)}/?location", dated=True)
        return refusal(answer.status, answer.text)

    def _config(self, use: BucketUse, credential: Credential, url: str | None) -> oss.Config:
        split = urlsplit(url or self.endpoint.of(use.region))
        seconds = self._asking.timeout_seconds
        config = oss.Config(
            region=use.region,
            endpoint=f"{split.scheme}://{split.netloc}",
            credentials_provider=oss.credentials.StaticCredentialsProvider(
                credential.access_key_id, credential.access_key_secret, credential.security_token
            ),
            connect_timeout=seconds,
            readwrite_timeout=seconds,
            retry_max_attempts=1,
        )
        if url is None:
            config.use_path_style = "{region}" not in self.endpoint.template
        elif split.path:
            config.use_path_style = True
        else:
            config.use_cname = True
        return config


def refusal(status: int, text: str) -> Refused:
    """From an error in XML; what is none has no code."""
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (expat of today bounds what entities may grow to)
        fields = {child.tag: child.text or "" for child in root}
    except ElementTree.ParseError:
        fields = {}
    return Refused(
        status,
        fields.get("Code", ""),
        fields.get("EC", ""),
        fields.get("Message", ""),
        fields.get("Endpoint", ""),
    )


def made_up_name() -> str:
    """Of an object that nobody else makes."""
    return f"oss-signer-doctor-{uuid.uuid4().hex}"


def _server(url: str) -> str:
    return urlsplit(url).netloc
