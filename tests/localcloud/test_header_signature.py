"""V4 signatures in headers and URLs: valid ones by Alibaba's SDK, invalid ones by hand."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from yarl import URL

from tests.harness.local_cloud import Cloud
from tests.localcloud.forms import Key
from tests.localcloud.sdk import assume, key_of

KEY = "照片/a b+c~'(1)*!&=?#%.txt"


def client(cloud: Cloud, key: Key = Key(), *, region: str = "cn-hangzhou", **options: Any) -> oss.Client:  # noqa: B008
    provider = oss.credentials.StaticCredentialsProvider(key.id, key.secret, key.token)
    config = oss.Config(region=region, endpoint=cloud.oss, credentials_provider=provider, **options)
    config.retry_max_attempts = 1
    return oss.Client(config)


async def get(cloud: Cloud, key: Key = Key(), name: str = KEY, **options: Any) -> Any:  # noqa: B008
    """Call GetObject with the SDK; return the body, or (status, code, EC)."""
    try:
        wanted = oss.GetObjectRequest(bucket="photos", key=name)
        found = await asyncio.to_thread(client(cloud, key, **options).get_object, wanted)
    except oss.exceptions.OperationError as error:
        refusal = error.unwrap()
        return refusal.status_code, refusal.code, refusal.ec
    return found.body.content


async def put(cloud: Cloud, key: Key = Key(), name: str = KEY, body: bytes = b"hello", **members: Any) -> Any:  # noqa: B008
    try:
        wanted = oss.PutObjectRequest(bucket="photos", key=name, body=body, **members)
        return await asyncio.to_thread(client(cloud, key).put_object, wanted)
    except oss.exceptions.OperationError as error:
        refusal = error.unwrap()
        return refusal.status_code, refusal.code, refusal.ec


async def test_the_sdk_puts_reads_lists_and_deletes(cloud: Cloud) -> None:
    stored = await put(cloud, content_type="text/x", metadata={"team": "a"}, cache_control="no-store")
    assert stored.etag == '"5D41402ABC4B2A76B9719D911017C592"'
    assert await get(cloud) == b"hello"
    assert await get(cloud, additional_headers=["host", "user-agent"]) == b"hello"
    sdk = client(cloud)
    head = await asyncio.to_thread(sdk.head_object, oss.HeadObjectRequest(bucket="photos", key=KEY))
    assert (head.content_length, head.content_type, head.metadata) == (5, "text/x", {"team": "a"})
    listed = await asyncio.to_thread(sdk.list_objects_v2, oss.ListObjectsV2Request(bucket="photos", prefix="照"))
    assert len(listed.contents) == 1
    deleted = await asyncio.to_thread(sdk.delete_object, oss.DeleteObjectRequest(bucket="photos", key=KEY))
    assert deleted.status_code == 204
    assert await get(cloud) == (404, "NoSuchKey", "0026-00000001")
    with pytest.raises(oss.exceptions.OperationError, match="404"):
        await asyncio.to_thread(sdk.head_object, oss.HeadObjectRequest(bucket="photos", key=KEY))


async def test_overwriting_and_broken_bodies_are_refused(cloud: Cloud) -> None:
    await put(cloud)
    assert (await put(cloud, forbid_overwrite=True))[:2] == (409, "FileAlreadyExists")
    assert (await put(cloud, content_md5="AAAAAAAAAAAAAAAAAAAAAA=="))[:2] == (400, "InvalidDigest")
    assert await get(cloud) == b"hello"


async def test_a_wrong_signer_is_rejected_as_by_oss(cloud: Cloud) -> None:
    await put(cloud)
    assert await get(cloud, Key(secret="wrong")) == (403, "SignatureDoesNotMatch", "0002-00000201")
    assert await get(cloud, Key(id="nobody")) == (403, "InvalidAccessKeyId", "0002-00000902")
    assert await get(cloud, region="cn-beijing") == (400, "InvalidArgument", "0002-00000226")
    assert await put(cloud, Key(secret="wrong"), body=b"other") == (403, "SignatureDoesNotMatch", "0002-00000201")
    assert await get(cloud) == b"hello"


async def test_a_skewed_clock_is_rejected(cloud: Cloud) -> None:
    await put(cloud)
    for seconds, answer in ((-800, b"hello"), (800, b"hello"), (-1000, None), (1000, None)):
        await cloud.set_faults(oss={"kind": "clock", "offset_seconds": seconds})
        assert await get(cloud) == (answer or (403, "RequestTimeTooSkewed", "0002-00000504"))


async def test_expired_and_mismatched_tokens_are_rejected(cloud: Cloud) -> None:
    await put(cloud)
    token = key_of(await assume(cloud))
    assert await get(cloud, token) == b"hello"
    assert (await get(cloud, Key(token.id, token.secret, "CAISother")))[:2] == (403, "InvalidSecurityToken")
    assert (await get(cloud, Key(token.id, token.secret)))[:2] == (403, "InvalidAccessKeyId")
    await cloud.set_faults(sts={"kind": "expired"})
    ended = key_of(await assume(cloud))
    assert await get(cloud, ended) == (403, "SecurityTokenExpired", "0002-00000007")


async def test_policies_limit_a_token(cloud: Cloud) -> None:
    await put(cloud, name="p/a.txt")
    statement = {"Effect": "Allow", "Action": ["oss:GetObject"], "Resource": ["acs:oss:*:*:photos/p/*"]}
    token = key_of(await assume(cloud, policy=json.dumps({"Version": "1", "Statement": [statement]})))
    refused = (403, "AccessDenied", "0003-00000301")
    assert await get(cloud, token, "p/a.txt") == b"hello"
    assert await get(cloud, token, "other") == refused
    assert await put(cloud, token, "p/a.txt") == refused
    sdk = client(cloud, token)
    for call, wanted in (
        (sdk.delete_object, oss.DeleteObjectRequest(bucket="photos", key="p/a.txt")),
        (sdk.list_objects_v2, oss.ListObjectsV2Request(bucket="photos")),
    ):
        with pytest.raises(oss.exceptions.OperationError, match="AccessDenied"):
            await asyncio.to_thread(call, wanted)
    assert await get(cloud, name="p/a.txt") == b"hello"


async def test_an_unsigned_request_may_only_read(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    await put(cloud, name="a.txt")
    url = f"{cloud.oss}/photos/a.txt"
    for method, status in (("GET", 200), ("HEAD", 200), ("PUT", 403), ("DELETE", 403)):
        async with session.request(method, url) as answer:
            assert answer.status == status, await answer.text()
    assert await cloud.content("photos", "a.txt") == b"hello"


@dataclass
class ByHand:
    """A request that OSS accepts, signed from the documentation alone, with changes."""

    method: str = "GET"
    age: timedelta = timedelta()
    scope: str = "{day}/cn-hangzhou/oss/aliyun_v4_request"
    key_id: str = "LTAI-local"
    signed: dict[str, str] = field(default_factory=dict)
    """Additional signed headers."""
    unsigned: dict[str, str | None] = field(default_factory=dict)
    """Headers or parameters that change after signing; None removes one."""
    additional: tuple[str, ...] = ()
    expires: str = "60"

    def _date(self) -> str:
        return (datetime.now(UTC) - self.age).strftime("%Y%m%dT%H%M%SZ")

    def _signature(self, date: str, scope: str, query: str, headers: dict[str, str]) -> str:
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
        canonical = f"{self.method}\n/photos/a.txt\n{query}\n{lines}\n{';'.join(self.additional)}\nUNSIGNED-PAYLOAD"
        to_sign = f"OSS4-HMAC-SHA256\n{date}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        key = b"aliyun_v4local-secret"
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, to_sign.encode(), "sha256").hex()

    def headers(self) -> dict[str, str]:
        date = self._date()
        scope = self.scope.format(day=date[:8])
        headers = {"x-oss-date": date, "x-oss-content-sha256": "UNSIGNED-PAYLOAD", **self.signed}
        extra = f"AdditionalHeaders={';'.join(self.additional)}, " if self.additional else ""
        given = f"Credential={self.key_id}/{scope}, {extra}Signature={self._signature(date, scope, '', headers)}"
        sent = {**headers, "Authorization": f"OSS4-HMAC-SHA256 {given}", **self.unsigned}
        return {name: value for name, value in sent.items() if value is not None}

    def query(self) -> str:
        date = self._date()
        scope = self.scope.format(day=date[:8])
        given = {
            "x-oss-additional-headers": ";".join(self.additional),
            "x-oss-credential": f"{self.key_id}/{scope}",
            "x-oss-date": date,
            "x-oss-expires": self.expires,
            "x-oss-signature-version": "OSS4-HMAC-SHA256",
        }
        given = {name: value for name, value in given.items() if value}
        signature = self._signature(date, scope, _encoded(given), self.signed)
        changed = {**given, "x-oss-signature": signature, **self.unsigned}
        return _encoded({name: value for name, value in changed.items() if value is not None})


def _encoded(parameters: dict[str, str]) -> str:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(parameters.items()))


async def _answer(
    session: aiohttp.ClientSession, method: str, url: URL, headers: dict[str, str]
) -> tuple[int, str, str]:
    async with session.request(method, url, headers=headers, skip_auto_headers=["Content-Type"]) as answer:
        body = await answer.text()
        code = re.search("<Code>(.*)</Code>", body)
        return answer.status, code[1] if code else "", answer.headers.get("x-oss-ec", "")


GOOD = (200, "", "")
INVALID = "InvalidArgument"
MISMATCH = (403, "SignatureDoesNotMatch", "0002-00000201")
SKEWED = (403, "RequestTimeTooSkewed", "0002-00000504")

BY_HEADER: list[tuple[str, ByHand, tuple[int, str, str]]] = [
    ("right", ByHand(), GOOD),
    ("with additional headers", ByHand(signed={"range": "bytes=0-3"}, additional=("range",)), (206, "", "")),
    ("signed for HEAD", ByHand(method="HEAD", unsigned={}), GOOD),
    ("an x-oss header that is not signed", ByHand(unsigned={"x-oss-meta-a": "b"}), MISMATCH),
    ("a type that is not signed", ByHand(unsigned={"Content-Type": "text/x"}), MISMATCH),
    ("an additional header changed", ByHand(signed={"x": "1"}, additional=("x",), unsigned={"x": "2"}), MISMATCH),
    ("another date", ByHand(unsigned={"x-oss-date": "20200101T000000Z"}), (400, INVALID, "0002-00000212")),
    ("16 minutes old", ByHand(age=timedelta(minutes=16)), SKEWED),
    ("16 minutes ahead", ByHand(age=-timedelta(minutes=16)), SKEWED),
    ("no date", ByHand(unsigned={"x-oss-date": None}), (403, "AccessDenied", "0002-00000503")),
    ("a date that is none", ByHand(unsigned={"x-oss-date": "today"}), (403, "AccessDenied", "0002-00000503")),
    ("another payload", ByHand(unsigned={"x-oss-content-sha256": "0" * 64}), (400, INVALID, "0002-00000214")),
    ("another version", ByHand(unsigned={"Authorization": "OSS2 a:b"}), (400, INVALID, "0002-00000061")),
    (
        "no credential",
        ByHand(unsigned={"Authorization": "OSS4-HMAC-SHA256 Signature=a"}),
        (400, INVALID, "0002-00000205"),
    ),
    (
        "no signature",
        ByHand(unsigned={"Authorization": "OSS4-HMAC-SHA256 Credential=a"}),
        (400, INVALID, "0002-00000202"),
    ),
    (
        "blank additional headers",
        ByHand(unsigned={"Authorization": "OSS4-HMAC-SHA256 Credential=a,AdditionalHeaders=,Signature=b"}),
        (400, INVALID, "0002-00000209"),
    ),
    ("another end", ByHand(scope="{day}/cn-hangzhou/oss/abc"), (400, INVALID, "0002-00000213")),
    (
        "a day with dashes",
        ByHand(scope="2022-12-20/cn-hangzhou/oss/aliyun_v4_request"),
        (400, INVALID, "0002-00000212"),
    ),
    ("another day", ByHand(scope="20221220/cn-hangzhou/oss/aliyun_v4_request"), (400, INVALID, "0002-00000212")),
    ("another region", ByHand(scope="{day}/oss-cn-hangzhou/oss/aliyun_v4_request"), (400, INVALID, "0002-00000226")),
    ("another product", ByHand(scope="{day}/cn-hangzhou/s3/aliyun_v4_request"), (400, INVALID, "0002-00000227")),
]


async def test_header_signatures_are_verified_as_by_oss(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    await put(cloud, name="a.txt")
    url = URL(f"{cloud.oss}/photos/a.txt")
    for name, request, expected in BY_HEADER:
        assert await _answer(session, request.method, url, request.headers()) == expected, name


async def test_a_bucket_in_the_host_name_is_part_of_the_signature(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    await put(cloud, name="a.txt")
    for host, expected in (
        ("photos.oss-cn-hangzhou.aliyuncs.com", GOOD),
        ("photos.example.com", (404, "NoSuchBucket", "0015-00000101")),
    ):
        headers = {**ByHand().headers(), "Host": host}
        assert await _answer(session, "GET", URL(f"{cloud.oss}/a.txt"), headers) == expected


BY_URL: list[tuple[str, ByHand, tuple[int, str, str]]] = [
    ("right", ByHand(), GOOD),
    ("for 7 days", ByHand(expires="604800"), GOOD),
    ("signed an hour ago for two", ByHand(age=timedelta(hours=1), expires="7200"), GOOD),
    ("ended", ByHand(age=timedelta(minutes=5), expires="299"), (403, "AccessDenied", "0002-00000236")),
    ("made longer", ByHand(age=timedelta(minutes=5), unsigned={"x-oss-expires": "600"}), MISMATCH),
    ("16 minutes ahead", ByHand(age=-timedelta(minutes=16)), SKEWED),
    ("for longer than 7 days", ByHand(expires="604801"), (400, INVALID, "0002-00000232")),
    ("for no time", ByHand(expires="0"), (400, INVALID, "0002-00000232")),
    ("for a number of many digits", ByHand(expires="1" * 5000), (400, INVALID, "0002-00000232")),
    ("without end", ByHand(unsigned={"x-oss-expires": None}), (400, INVALID, "0002-00000215")),
    ("without credential", ByHand(unsigned={"x-oss-credential": None}), (400, INVALID, "0002-00000217")),
    ("without date", ByHand(unsigned={"x-oss-date": None}), (400, INVALID, "0002-00000223")),
    ("without version", ByHand(unsigned={"x-oss-signature-version": None}), (400, INVALID, "0002-00000066")),
    ("without signature", ByHand(unsigned={"x-oss-signature": None}), MISMATCH),
    ("another signature", ByHand(unsigned={"x-oss-signature": "0" * 64}), MISMATCH),
    ("one parameter more", ByHand(unsigned={"x-oss-process": "image/resize,w_1"}), MISMATCH),
    ("another end of the scope", ByHand(scope="{day}/cn-hangzhou/oss/abc"), (400, INVALID, "0002-00000224")),
    (
        "a day with dashes",
        ByHand(scope="2022-12-20/cn-hangzhou/oss/aliyun_v4_request"),
        (400, INVALID, "0002-00000223"),
    ),
    ("another region", ByHand(scope="{day}/cn-beijing/oss/aliyun_v4_request"), (400, INVALID, "0002-00000228")),
    ("nobody's", ByHand(key_id="nobody"), (403, "InvalidAccessKeyId", "0002-00000902")),
    ("blank additional headers", ByHand(unsigned={"x-oss-additional-headers": ""}), (400, INVALID, "0002-00000076")),
]


async def test_url_signatures_are_verified_as_by_oss(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    await put(cloud, name="a.txt")
    for name, request, expected in BY_URL:
        url = URL(f"{cloud.oss}/photos/a.txt?{request.query()}", encoded=True)
        assert await _answer(session, "GET", url, {}) == expected, name
    url = URL(f"{cloud.oss}/photos/a.txt?{ByHand().query()}", encoded=True)
    assert await _answer(session, "DELETE", url, {}) == MISMATCH


async def test_presigned_urls_of_the_sdk_work_until_they_expire(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    token = key_of(await assume(cloud))
    sdk = client(cloud, token)
    upload = sdk.presign(oss.PutObjectRequest(bucket="photos", key=KEY), expires=timedelta(hours=1))
    async with session.put(URL(upload.url, encoded=True), data=b"hello", skip_auto_headers=["Content-Type"]) as answer:
        assert answer.status == 200, await answer.text()
    download = sdk.presign(oss.GetObjectRequest(bucket="photos", key=KEY), expires=timedelta(hours=1))
    async with session.get(URL(download.url, encoded=True)) as answer:
        assert await answer.read() == b"hello"
    other = download.url.replace(quote("照"), quote("片"))
    assert await _answer(session, "GET", URL(other, encoded=True), {}) == MISMATCH
    await cloud.set_faults(oss={"kind": "clock", "offset_seconds": 3601})
    ended = await _answer(session, "GET", URL(download.url, encoded=True), {})
    assert ended == (403, "AccessDenied", "0002-00000236")
