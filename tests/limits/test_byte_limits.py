"""Limits of bytes, with the local cloud as the judge of what a client can store."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient
from yarl import URL

from signer.api.routes import public_routes
from signer.callers.caller import Caller
from signer.clock import utc_now
from signer.delivery.receiver import CallbackReceiver
from signer.errors import RateLimited
from signer.limits.local_limiter import LocalLimiter
from signer.multipart.step_limits import limits_to_give_back
from signer.request_context import RequestContext
from signer.service import Service
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import decode_policy, post_object
from tests.stores.store_servers import redis_store_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "the-key-of-the-shop"
DAY = 86_400


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud() -> AsyncIterator[Cloud]:
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "photos=cn-hangzhou") as running:
        yield running


def definitions(cloud: Cloud, rate_limit: str, *, top: str = "", **changes: str) -> str:
    """Return definitions of the app `a` with these limits; `changes` replace or add keys of it, as YAML."""
    keys = f"{{type: api_key, keys: {{shop: {sha256(KEY.encode()).hexdigest()}}}}}"
    app = {
        "callers": keys,
        "domain": f"{cloud.oss}/photos",
        "key_prefix": "p/{caller_hash}/",
        "key": '"{uuid}.{ext}"',
        "generate_signature": "false",
        "rate_limit": rate_limit,
        **changes,
    }
    lines = "\n".join(f"    {key}: {value}" for key, value in app.items())
    return f"""
version: 1
server: {{secret: {"s" * 32}}}
{top}
credentials:
  key: {{type: static, access_key_id: LTAI-local, access_key_secret: local-secret}}
defaults:
  region: cn-hangzhou
  bucket: photos
  credentials: key
apps:
  a:
{lines}
"""


@dataclass
class Response:
    """A response of the signer."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def outcome(self) -> int | str:
        """The status, or the code of the problem."""
        return self.body["code"] if self.status >= 400 else self.status


@dataclass
class QuotaSigner:
    """A signer of an app with limits of bytes, and clients of it."""

    service: Service
    cloud: Cloud
    client: TestClient[Any, Any]

    async def post(
        self, path: str, body: Mapping[str, Any] | bytes, caller: str | None = "ann", **headers: str
    ) -> Response:
        """Send a request of a caller, or of one without an id."""
        named = {} if caller is None else {"X-Api-Key": KEY, "X-Caller": caller}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.client.post(f"/v1/apps/a/{path}", data=data, headers=named) as response:
            content = None if response.status == 204 else await response.json(content_type=None)
            return Response(response.status, content, response.headers)

    async def form(self, size: int, caller: str | None = "ann", **members: Any) -> Response:
        """Request a form for a file of this size."""
        return await self.post("uploads", {"filename": "a.jpg", "size": size, **members}, caller)

    async def start(self, size: int, **members: Any) -> Response:
        """Start a multipart upload."""
        return await self.post("multipart", {"filename": "a.mp4", "size": size, **members})

    async def send(self, form: Response, content: bytes) -> tuple[int, str]:
        """Send a file with a form to OSS; return the status and the body of the response."""
        status, body, _ = await post_object(self.cloud.session, form.body["url"], form.body["fields"], content)
        return status, body

    async def send_parts(self, upload: Response, content: bytes) -> None:
        """Send all parts of a multipart upload."""
        for part in upload.body["parts"]:
            start = (part["part_number"] - 1) * upload.body["part_size"]
            data = content[start : start + part["size"]]
            url = URL(part["url"], encoded=True)
            async with self.cloud.session.put(url, data=data, headers=part["headers"]) as response:
                assert response.status == 200, await response.text()

    async def left(self, caller: str | None = "ann") -> int:
        """Return how many bytes a caller has left; this takes one byte."""
        return remaining(await self.form(1, caller), "caller-bytes") + 1


def remaining(response: Response, policy: str) -> int:
    """Return what a response reports of one limit."""
    states = dict(item.strip().split(";", 1) for item in response.headers["RateLimit"].split(","))
    return int(states[f'"{policy}"'].partition(";")[0].removeprefix("r="))


@contextlib.asynccontextmanager
async def signer_of(cloud: Cloud, text: str, *, now: Callable[[], datetime] = utc_now) -> AsyncIterator[QuotaSigner]:
    async with running_service(text, now=now) as service:
        router = public_routes(service, cast(CallbackReceiver, None))
        client: TestClient[Any, Any] = TestClient(HttpTestServer(service, router, ADAPTERS["fast"]))
        async with client:
            yield QuotaSigner(service, cloud, client)


async def test_oss_accepts_exactly_the_declared_size(cloud: Cloud) -> None:
    async with signer_of(cloud, definitions(cloud, "{per_caller_bytes: 100B/d}", success_status="204")) as signer:
        form = await signer.form(10)
        assert (form.status, form.body["max_size"]) == (201, 10)
        conditions = decode_policy(form.body["fields"]["policy"])["conditions"]
        assert [each for each in conditions if "content-length-range" in each] == [["content-length-range", 10, 10]]
        for content, status, code in ((b"x" * 11, 400, "EntityTooLarge"), (b"x" * 9, 400, "EntityTooSmall")):
            answered, body = await signer.send(form, content)
            assert (answered, f"<Code>{code}</Code>" in body) == (status, True)
        assert (await signer.send(form, b"x" * 10))[0] == 204
        assert (await signer.send(form, b"y" * 10))[0] == 204
    assert await cloud.content("photos", form.body["key"]) == b"y" * 10


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "size is missing; this app limits bytes"),
        (b'{"filename": "a.jpg"}', "size is missing; this app limits bytes"),
        (b'{"size": null}', "size is missing; this app limits bytes"),
        (b'{"size": 0}', "this app needs at least 1"),
        (b'{"size": -5}', "size"),
        (b'{"size": 5.0}', "size"),
        (b'{"size": 5e0}', "size"),
        (b'{"size": "5"}', "size"),
        (b'{"size": true}', "size"),
        (b'{"size": NaN}', ""),
        (b'{"size": 99999999999999999999999999}', "size"),
    ],
)
async def test_a_size_that_is_none_is_refused_and_uses_nothing(cloud: Cloud, body: bytes, detail: str) -> None:
    async with signer_of(cloud, definitions(cloud, "{per_caller_bytes: 100B/d}")) as signer:
        refused = await signer.post("uploads", body)
        assert refused.outcome == "invalid_request"
        assert detail in refused.body["detail"]
        assert await signer.left() == 100


async def test_many_small_files_use_the_quota_up(cloud: Cloud) -> None:
    async with signer_of(cloud, definitions(cloud, "{per_caller_bytes: 100B/d}")) as signer:
        for number in range(9):
            form = await signer.form(11)
            assert remaining(form, "caller-bytes") == 100 - 11 * (number + 1)
        refused = await signer.form(11)
        assert (refused.status, refused.outcome) == (429, "quota_exceeded")
        assert refused.body["detail"].startswith("the file has 11 bytes, and 1 of this app's limit of bytes are left")
        assert DAY / 10 - 864 < int(refused.headers["Retry-After"]) <= DAY / 10
        assert remaining(refused, "caller-bytes") == 1
        assert 'q=100;qu="content-bytes";w=86400' in refused.headers["RateLimit-Policy"]
        assert (await signer.form(1)).status == 201
        assert (await signer.form(1)).outcome == "quota_exceeded"


async def test_a_file_that_is_too_large_now_leaves_the_rest(cloud: Cloud) -> None:
    limits = "{per_caller: 4/d, per_app: 100/d, per_caller_bytes: 100B/d, per_app_bytes: 150B/d}"
    async with signer_of(cloud, definitions(cloud, limits)) as signer:
        assert (await signer.form(40)).status == 201
        for _ in range(20):
            assert (await signer.form(61)).outcome == "quota_exceeded"
        last = await signer.form(60)
        assert (last.status, last.headers["RateLimit-Remaining"]) == (201, "2")
        left = {policy: remaining(last, policy) for policy in ("caller", "app", "caller-bytes", "app-bytes")}
        assert left == {"caller": 2, "app": 98, "caller-bytes": 0, "app-bytes": 50}
        # The quota of the app is used by all callers; a refusal for it uses nothing of the caller's.
        assert (await signer.form(51, "bob")).outcome == "quota_exceeded"
        assert remaining(await signer.form(50, "bob"), "caller-bytes") == 50


async def test_too_many_requests_use_no_bytes(cloud: Cloud) -> None:
    text = definitions(cloud, "{per_caller: 2/d, per_app_bytes: 100B/d}")
    async with signer_of(cloud, text) as signer:
        for _ in range(2):
            assert (await signer.form(10)).status == 201
        for _ in range(5):
            assert (await signer.form(10)).outcome == "rate_limited"
        assert remaining(await signer.form(10, "bob"), "app-bytes") == 70


async def test_a_put_counts_its_exact_length(cloud: Cloud) -> None:
    async with signer_of(cloud, definitions(cloud, "{per_caller_bytes: 100B/d}")) as signer:
        put = await signer.form(60, method="PUT", content_type="image/jpeg")
        assert remaining(put, "caller-bytes") == 40
        assert (await signer.form(41, method="PUT", content_type="image/jpeg")).outcome == "quota_exceeded"
        for refused in (await signer.form(40, method="PUT"), await signer.form(40, method="PUT", reuse=True)):
            assert refused.outcome == "invalid_request"
        for length, status in ((61, 403), (59, 403), (60, 200)):
            url, data = URL(put.body["url"], encoded=True), b"x" * length
            headers = {**put.body["headers"], "Content-Length": str(length)}
            async with cloud.session.put(url, data=data, headers=headers) as response:
                assert response.status == status
        assert remaining(await signer.form(40), "caller-bytes") == 0


async def batch(signer: QuotaSigner, *files: Mapping[str, Any]) -> tuple[list[int | str], Response]:
    """Request several forms at once; return the size or the code of the problem of each, and the response."""
    response = await signer.post("uploads", {"files": [{"filename": "a.jpg", **each} for each in files]})
    assert response.status == 200
    return [each.get("max_size", each.get("code")) for each in response.body["uploads"]], response


async def test_each_file_of_a_batch_counts(cloud: Cloud) -> None:
    text = definitions(cloud, "{per_caller: 100/d, per_caller_bytes: 100B/d}", content_types="[image/jpeg]")
    async with signer_of(cloud, text) as signer:
        sizes = (40, 61, 50, 11, 10)
        outcomes, response = await batch(signer, *({"size": size} for size in sizes))
        assert outcomes == [40, "quota_exceeded", 50, "quota_exceeded", 10]
        assert (remaining(response, "caller-bytes"), remaining(response, "caller")) == (0, 97)
        [form, *_] = response.body["uploads"]
        for content, status in ((b"x" * 41, 400), (b"x" * 39, 400), (b"x" * 40, 200)):
            assert (await signer.send(Response(201, form, {}), content))[0] == status
    async with signer_of(cloud, text) as signer:
        refused: tuple[dict[str, Any], ...] = (
            {"size": 90, "content_type": "text/html"},
            {"size": 101},
            {"size": 0},
            {},
        )
        outcomes, _ = await batch(signer, *refused)
        assert outcomes == ["unsupported_type", "too_large", "invalid_request", "invalid_request"]
        assert await signer.left() == 100
        assert (await batch(signer, {"size": 100}, {"size": 99}))[0] == ["quota_exceeded", 99]


@pytest.mark.parametrize("bad", [{"content_type": "text/html"}, {"meta": {"x": "y"}}, {"method": "PUT"}])
@pytest.mark.parametrize("bad_count", [1, 3])
async def test_a_refused_file_of_a_batch_costs_the_others_nothing(
    cloud: Cloud, bad: Mapping[str, Any], bad_count: int
) -> None:
    text = definitions(cloud, "{per_caller: 100/d, per_caller_bytes: 100B/d}", content_types="[image/jpeg]")
    async with signer_of(cloud, text) as signer:
        refused = [{"size": 90, **bad}] * bad_count
        outcomes, response = await batch(signer, *refused, {"size": 60}, {"size": 41}, *refused, {"size": 30})
        codes = {"unsupported_type", "invalid_request"}
        assert outcomes[bad_count : bad_count + 2] + outcomes[-1:] == [60, "quota_exceeded", 30]
        assert {*outcomes[:bad_count], *outcomes[bad_count + 2 : -1]} <= codes
        assert remaining(response, "caller-bytes") == 10
        assert b'oss_signer_counted_bytes_total{app="a"} 90.0' in signer.service.metrics.exposition()
        wait = int(response.body["uploads"][bad_count + 1]["retry_after"])
        assert wait <= 31 * DAY / 100 + 1
        form = response.body["uploads"][bad_count]
        assert (await signer.send(Response(201, form, {}), b"x" * 60))[0] == 200
        assert await signer.left() == 10


async def test_what_is_left_after_a_batch_includes_the_bytes_of_its_refused_files(cloud: Cloud) -> None:
    text = definitions(cloud, "{per_caller: 9/d, per_caller_bytes: 100B/d}", content_types="[image/jpeg]")
    async with signer_of(cloud, text) as signer:
        outcomes, response = await batch(signer, {"size": 10}, {"size": 80, "content_type": "text/html"})
        assert outcomes == [10, "unsupported_type"]
        assert (remaining(response, "caller-bytes"), remaining(response, "caller")) == (90, 7)


async def test_a_file_whose_key_would_be_too_long_uses_no_bytes(cloud: Cloud) -> None:
    text = definitions(cloud, "{per_caller_bytes: 100B/d}", key='"{stem}/{stem}/{stem}/{stem}/{filename}"')
    long = {"filename": "a" * 250 + ".jpg"}
    async with signer_of(cloud, text) as signer:
        assert (await signer.form(60, **long)).outcome == "invalid_request"
        assert (await batch(signer, {"size": 60, **long}, {"size": 40}))[0] == ["invalid_request", 40]
        assert await signer.left() == 60


async def test_a_batch_uses_as_many_requests_as_its_limits_allow(cloud: Cloud) -> None:
    text = definitions(cloud, "{per_address: 5/d, per_caller: 3/d, per_caller_bytes: 100B/d}")
    async with signer_of(cloud, text) as signer:
        outcomes, response = await batch(signer, *[{"size": 10}] * 4)
        assert outcomes == [10, 10, 10, "rate_limited"]
        assert remaining(response, "caller-bytes") == 70
        again = await signer.post("uploads", {"files": [{"filename": "a.jpg", "size": 10}] * 4})
        assert again.outcome == "rate_limited"


async def test_a_file_above_the_whole_quota_is_too_large(cloud: Cloud) -> None:
    """No wait would help it."""
    text = definitions(cloud, "{per_caller_bytes: 300B/d}", min_size="0", multipart="{max_size: 1GiB}")
    async with signer_of(cloud, text) as signer:
        for refused in (await signer.form(301), await signer.start(301), await signer.form(2**53)):
            assert (refused.status, refused.outcome) == (413, "too_large")
            assert "this app allows at most 300" in refused.body["detail"]
            assert "Retry-After" not in refused.headers
        empty = await signer.form(0)
        assert (empty.status, empty.body["max_size"]) == (201, 0)
        assert (await signer.form(300)).status == 201


async def test_a_refused_request_uses_no_bytes(cloud: Cloud) -> None:
    text = definitions(
        cloud, "{per_caller_bytes: 900B/d}", content_types="[image/jpeg]", max_size="400", multipart="{max_size: 500}"
    )
    async with signer_of(cloud, text) as signer:
        for members, code in (
            ({"content_type": "text/html"}, "unsupported_type"),
            ({"meta": {"unknown": "x"}}, "invalid_request"),
            ({"vars": {"order": "1"}}, "invalid_request"),
        ):
            for _ in range(4):
                assert (await signer.form(300, **members)).outcome == code
                assert (await signer.start(300, **members)).outcome in (code, "unsupported_type")
        assert (await signer.form(401)).outcome == "too_large"
        assert await signer.left() == 900


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"content_type": "text/html"}, "unsupported_type"),
        ({"content_type": "no type"}, "invalid_request"),
        ({"size": 2**40}, "too_large"),
        ({"size": 0}, "invalid_request"),
        ({"filename": None}, "invalid_request"),
        ({"meta": {"unknown": "x"}}, "invalid_request"),
        ({"vars": {"order": "$"}}, "invalid_request"),
    ],
)
async def test_what_is_wrong_with_a_file_is_checked_before_its_bytes(
    cloud: Cloud, members: Mapping[str, Any], code: str
) -> None:
    """A wait would not help it, so `quota_exceeded` would be the wrong answer."""
    text = definitions(
        cloud,
        "{per_caller_bytes: 900B/d}",
        content_types="[image/jpeg]",
        key='"{stem}-{uuid}.{ext}"',
        callback='{url: "https://app.example.com/hook", body: "object=${object}"}',
        multipart="{}",
    )
    async with signer_of(cloud, text) as signer:
        assert (await signer.form(700)).status == 201
        file = {"filename": "a.jpg", "content_type": "image/jpeg", "size": 300, **members}
        assert (await signer.post("uploads", file)).outcome == code
        assert (await signer.post("uploads", {**file, "method": "PUT"})).outcome == code
        assert (await signer.post("multipart", file)).outcome == code
        alone = {"filename": "a.jpg", "content_type": "image/jpeg", "size": 300}
        outcomes, _ = await batch(signer, file, {**file, "method": "PUT"}, alone)
        assert outcomes == [code, code, "quota_exceeded"]
        assert await signer.left() == 200


async def test_headers_that_no_put_can_have_are_checked_before_its_bytes(cloud: Cloud) -> None:
    text = definitions(
        cloud,
        "{per_caller_bytes: 900B/d}",
        meta="[title]",
        callback='{url: "https://app.example.com/hook", body: "object=${object}&a=${x:a}"}',
    )
    async with signer_of(cloud, text) as signer:
        assert (await signer.form(700)).status == 201
        many = {f"v{number}": "x" * 1000 for number in range(5)}
        for members in ({}, {"reuse": True}, {"meta": {"title": "照片"}}, {"vars": many}):
            content_type = {"content_type": "image/jpeg"} if members else {}
            refused = await signer.form(300, method="PUT", **content_type, **members)
            assert refused.outcome == "invalid_request", members
        assert (await signer.form(300, method="PUT", content_type="image/jpeg")).outcome == "quota_exceeded"


async def test_an_upload_that_oss_refuses_to_start_uses_no_bytes(cloud: Cloud) -> None:
    text = definitions(cloud, "{per_caller_bytes: 1MB/d}", bucket="missing", multipart="{}")
    async with signer_of(cloud, text) as signer:
        for _ in range(3):
            assert (await signer.start(600_000)).outcome == "oss_refused"
        assert await signer.left() == 1_000_000


async def test_a_multipart_upload_counts_at_its_start(cloud: Cloud) -> None:
    content = bytes(250_000)
    text = definitions(cloud, "{per_caller_bytes: 300KB/d}", multipart="{part_size: 100KiB}")
    async with signer_of(cloud, text) as signer:
        upload = await signer.start(len(content))
        assert remaining(upload, "caller-bytes") == 50_000
        refused = await signer.start(60_000)
        assert refused.outcome == "quota_exceeded"
        assert 50_000 <= remaining(refused, "caller-bytes") < 51_000
        await signer.send_parts(upload, content)
        token = {"upload": upload.body["upload"]}
        assert (await signer.post("multipart/complete", token)).body["size"] == len(content)
        # What is stored cannot be given back.
        assert (await signer.post("multipart/abort", token)).status == 204
        assert 50_000 <= await signer.left() < 51_000


async def test_an_aborted_upload_gives_its_bytes_back_once(cloud: Cloud) -> None:
    text = definitions(cloud, "{per_caller_bytes: 300KB/d, per_app_bytes: 10MB/d}", multipart="{}")
    async with signer_of(cloud, text) as signer:
        first, second = [await signer.start(150_000) for _ in range(2)]
        assert remaining(second, "caller-bytes") == 0
        for _ in range(3):
            assert (await signer.post("multipart/abort", {"upload": first.body["upload"]})).status == 204
        # Some bytes refill while the test runs, and less is given back for them.
        assert 149_000 < await signer.left() < 151_000
        other = await signer.post("multipart/abort", {"upload": second.body["upload"]}, "bob")
        assert other.outcome == "upload_gone"


async def test_two_successful_aborts_of_an_upload_give_back_once(cloud: Cloud) -> None:
    """OSS may answer both of two concurrent requests with success."""
    text = definitions(cloud, "{per_caller_bytes: 300KB/d}", multipart="{}")
    async with signer_of(cloud, text) as signer:
        upload, other = [await signer.start(100_000) for _ in range(2)]
        revision, limiter = signer.service.current, LocalLimiter()
        tokens, app = revision.upload_tokens, revision.registry.apps["a"]
        assert tokens is not None
        given_back = [
            limits_to_give_back(
                app,
                Caller("ann"),
                RequestContext(),
                tokens.decode(each.body["upload"], app_id="a", caller="ann"),
                utc_now(),
            )
            for each in (upload, other)
        ]
        await limiter.acquire(given_back[0])
        with pytest.raises(RateLimited):
            await limiter.acquire(given_back[0])
        await limiter.acquire(given_back[1])


@pytest.mark.parametrize(("age_hours", "left"), [(6, 225_000), (12, 150_000), (24, 0), (100, 0)])
async def test_old_uploads_give_back_only_what_has_not_refilled(cloud: Cloud, age_hours: int, left: int) -> None:
    """Otherwise a client could save up the bytes of many days."""
    later = timedelta()
    text = definitions(cloud, "{per_caller_bytes: 300KB/d}", multipart="{expires: 7d}")
    async with signer_of(cloud, text, now=lambda: utc_now() + later) as signer:
        upload = await signer.start(300_000)
        later = timedelta(hours=age_hours)
        assert (await signer.post("multipart/abort", {"upload": upload.body["upload"]})).status == 204
        # The limiter counts by the monotonic clock, which the test does not stop.
        assert left - 1000 <= await signer.left() <= left + 1000


async def test_only_the_identity_of_a_caller_counts(cloud: Cloud) -> None:
    """Without an id, callers are counted by their address, whatever their headers are."""
    callers = f"[{{type: api_key, keys: {{shop: {sha256(KEY.encode()).hexdigest()}}}}}, {{type: open}}]"
    text = definitions(cloud, "{per_caller_bytes: 100B/d}", key_prefix="p/", callers=callers)
    async with signer_of(cloud, text) as signer:
        assert (await signer.form(100, None)).status == 201
        for headers in ({}, {"X_Caller": "eve"}, {"X_Forwarded_For": "192.0.2.9"}, {"X_Session": "x"}):
            refused = await signer.post("uploads", {"size": 1}, None, **headers)
            assert refused.outcome == "quota_exceeded"
        assert (await signer.form(100, "127.0.0.1")).status == 201
        assert (await signer.form(100, "bob")).status == 201
        assert (await signer.form(1, "bob")).outcome == "quota_exceeded"


async def test_ways_around_the_declared_size_are_closed(cloud: Cloud) -> None:
    async with signer_of(cloud, definitions(cloud, "{per_caller_bytes: 100B/d}")) as signer:
        async with signer.client.get("/generate_signature?app_id=a&size=10") as response:
            assert response.status == 403
        reused = await signer.form(10, reuse=True)
        assert "key_prefix" not in reused.body
        form = await signer.form(10)
        for changes in (
            {"key": form.body["key"].rpartition("/")[0] + "/other.jpg"},
            {"content-length-range": "0,1000"},
            {"policy": reused.body["fields"]["policy"]},
        ):
            changed = Response(201, {**form.body, "fields": {**form.body["fields"], **changes}}, {})
            assert (await signer.send(changed, b"x" * 50))[0] in (400, 403)


async def test_bytes_are_measured_and_audited(cloud: Cloud, tmp_path: Path) -> None:
    audit = tmp_path / "audit.log"
    text = definitions(cloud, "{per_caller_bytes: 100B/d}", top=f"audit: {audit}")
    async with signer_of(cloud, text) as signer:
        for size in (30, 40, 50):
            await signer.form(size)
        metrics = signer.service.metrics.exposition().decode()
    assert 'oss_signer_counted_bytes_total{app="a"} 70.0' in metrics
    assert 'oss_signer_quota_exceeded_total{app="a"} 1.0' in metrics
    assert 'oss_signer_signatures_total{app="a",outcome="quota_exceeded"} 1.0' in metrics
    lines = [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]
    assert [line["max_size"] for line in lines] == [30, 40]


async def test_two_signers_share_a_quota_in_redis(cloud: Cloud, tmp_path: Path) -> None:
    async with redis_store_server(tmp_path) as redis:
        text = definitions(
            cloud,
            "{per_caller: 100/d, per_caller_bytes: 100B/d, when_redis_is_gone: closed}",
            top=f"limits: redis://127.0.0.1:{redis.port}/0",
        )
        async with signer_of(cloud, text) as one, signer_of(cloud, text) as other:
            outcomes = [(await (one, other)[number % 2].form(30)).outcome for number in range(6)]
            assert outcomes == [201, 201, 201, *["quota_exceeded"] * 3]
            last = await other.form(10)
            assert (remaining(last, "caller-bytes"), remaining(last, "caller")) == (0, 96)
            for days, size in ((0.5, 50), (10, 100)):
                async with redis.client() as client:
                    # As if this time had passed.
                    bucket = "oss-signer:limit:a:caller-bytes:ann"
                    since = float(await client.hget(bucket, "since") or "nan")
                    await client.hset(bucket, "since", str(since - days * DAY))
                assert (await one.form(size)).status == 201
                assert (await other.form(1)).outcome == "quota_exceeded"
            await redis.stop()
            refused = await one.form(1)
            assert (refused.outcome, refused.headers["Retry-After"]) == ("rate_limited", "1")
