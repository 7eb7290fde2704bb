"""OSS requests of the steps: through Alibaba's SDK with a role's own token; refusals become plain texts."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree

import aiohttp
import alibabacloud_oss_v2 as oss
from alibabacloud_oss_v2.aio import AsyncClient

from signer.doctor.http_probe import HttpProbe, NoResponse, connection_error
from signer.doctor.plan import BucketUse
from signer.signing.v4 import Credential

T = TypeVar("T")

_WRONG_SIGNING_REGION = ("0002-00000226", "0002-00000228", "0002-00000715")
_OTHER_ENDPOINT = "must be addressed using the specified endpoint"
_NOT_OSS = "does not respond as OSS does; a proxy may have responded"


class OssRefusal(Exception):
    """An error response of OSS. The text holds no secret."""

    def __init__(self, status: int, code: str, ec: str, message: str, endpoint: str) -> None:
        super().__init__(f"OSS responds {status} {code}{f', EC {ec}' if ec else ''}")
        self.status, self.code, self.ec = status, code, ec
        self.is_other_region = ec in _WRONG_SIGNING_REGION or _OTHER_ENDPOINT in message or bool(endpoint)
        """Whether the bucket is in another region than the one of the request."""
        self.region = endpoint.partition(".")[0].removeprefix("oss-").removesuffix("-internal") or None
        """The bucket's region, if OSS gives it."""

    @property
    def is_denied(self) -> bool:
        """Whether the role lacks the permission."""
        return self.code == "AccessDenied" and not self.is_other_region

    @property
    def is_closed_endpoint(self) -> bool:
        """Whether the account may not use this public endpoint."""
        return self.code == "PublicEndpointForbidden"

    @property
    def help_url(self) -> str:
        return f"https://api.aliyun.com/troubleshoot?q={self.ec or self.code}"


@dataclass(frozen=True, slots=True)
class OssEndpoint:
    """The endpoint of OSS: `https://oss-{region}.aliyuncs.com`, or the local cloud's, without `{region}`."""

    template: str

    def url(self, region: str) -> str:
        return self.template.replace("{region}", region).rstrip("/")

    def bucket_url(self, use: BucketUse) -> str:
        url = urlsplit(self.url(use.region))
        if "{region}" not in self.template:
            return f"{url.scheme}://{url.netloc}/{use.bucket}"
        return f"{url.scheme}://{use.bucket}.{url.netloc}"

    def public_url(self, use: BucketUse, url: str) -> str:
        """Return where to reach `url`, which phones upload to: the local cloud replaces the default URL."""
        is_local = "{region}" not in self.template
        return self.bucket_url(use) if is_local and url == use.default_url else url


class OssProbe:
    def __init__(self, http: HttpProbe, endpoint: OssEndpoint) -> None:
        self.http = http
        self.endpoint = endpoint

    async def call(
        self,
        use: BucketUse,
        credential: Credential,
        operation: Callable[[AsyncClient], Awaitable[T]],
        url: str | None = None,
    ) -> T:
        """Run one operation of the SDK's client; raise `OssRefusal` for an error, `NoResponse` for none in time.

        `url` is a custom domain of the bucket, used instead of the region's endpoint.
        """

        async def run() -> T:
            async with AsyncClient(self._config(use, credential, url)) as client:
                return await operation(client)

        return await self._translate(use, run)

    async def bucket_cors(self, use: BucketUse, credential: Credential) -> Any:
        """Return the result of GetBucketCors, which only the SDK's blocking client has. Raises as `call` does."""
        client = oss.Client(self._config(use, credential, None))
        request = oss.GetBucketCorsRequest(bucket=use.bucket)
        return await self._translate(use, lambda: asyncio.to_thread(client.get_bucket_cors, request))

    async def bucket_lifecycle(self, use: BucketUse, credential: Credential) -> list[Any]:
        """Return the SDK's lifecycle rules, which only its blocking client has. Raises as `call` does."""
        client = oss.Client(self._config(use, credential, None))
        request = oss.GetBucketLifecycleRequest(bucket=use.bucket)
        result = await self._translate(use, lambda: asyncio.to_thread(client.get_bucket_lifecycle, request))
        return list(getattr(result.lifecycle_configuration, "rules", None) or [])

    async def _translate(self, use: BucketUse, run: Callable[[], Awaitable[T]]) -> T:
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(self.http.timeout_seconds):
                return await run()
        except TimeoutError:
            raise NoResponse(f"no response within {self.http.timeout_seconds:g} s") from None
        except oss.exceptions.BaseError as error:
            inner: Any = error
            while isinstance(inner, oss.exceptions.OperationError):
                inner = inner.unwrap()
            if not isinstance(inner, oss.exceptions.ServiceError):
                if isinstance(inner, oss.exceptions.DeserializationError):
                    raise NoResponse(_NOT_OSS) from None
                raise NoResponse(connection_error(inner.unwrap() if hasattr(inner, "unwrap") else inner)) from None
            server = urlsplit(self.endpoint.url(use.region)).netloc
            self.http.record_date(server, (inner.headers or {}).get("Date"), sent_at)
            endpoint = (inner.error_fileds or {}).get("Endpoint") or ""
            code, ec, message = inner.code or "", inner.ec or "", inner.message or ""
            raise OssRefusal(inner.status_code, code, ec, message, endpoint) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoResponse(connection_error(error)) from None
        except (ElementTree.ParseError, LookupError):  # The SDK parses any response with status 200.
            raise NoResponse(_NOT_OSS) from None

    async def get_absent_object(self, use: BucketUse, credential: Credential, url: str | None = None) -> None:
        """Request an absent object. OSS always refuses; only the right bucket gives NoSuchKey or denies it."""
        request = oss.GetObjectRequest(bucket=use.bucket, key=unique_name())
        await self.call(use, credential, lambda client: client.get_object(request), url=url)

    async def post_object(self, url: str, fields: Mapping[str, str], content: bytes) -> str | None:
        """Upload a form as phones do, and return the object's version, which only some buckets have.

        Raises as `call` does.
        """
        form = aiohttp.FormData(quote_fields=False)
        for name, value in fields.items():
            form.add_field(name, value)
        form.add_field("file", content, filename="doctor", content_type="application/octet-stream")
        response = await self.http.request(url, method="POST", data=form)
        if response.status not in (200, 201, 204):
            raise parse_refusal(response.status, response.text)
        return response.headers.get("x-oss-version-id")

    async def unsigned_request(self, use: BucketUse) -> OssRefusal:
        """Return OSS's refusal of a request without a signature, which differs for a missing bucket."""
        response = await self.http.request(f"{self.endpoint.bucket_url(use)}/?location", dated=True)
        return parse_refusal(response.status, response.text)

    def _config(self, use: BucketUse, credential: Credential, url: str | None) -> oss.Config:
        split = urlsplit(url or self.endpoint.url(use.region))
        seconds = self.http.timeout_seconds
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


def parse_refusal(status: int, text: str) -> OssRefusal:
    """Parse an XML error of OSS. Other text gives a refusal without a code."""
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (expat limits the expansion of entities)
        fields = {child.tag: child.text or "" for child in root}
    except ElementTree.ParseError:
        fields = {}
    return OssRefusal(
        status, fields.get("Code", ""), fields.get("EC", ""), fields.get("Message", ""), fields.get("Endpoint", "")
    )


def unique_name() -> str:
    """Return an object name that nothing else uses."""
    return f"oss-signer-doctor-{uuid.uuid4().hex}"
