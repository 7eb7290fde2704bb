"""Access to an app as the YAML defines it: callers, limits, downloads and the audit log."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.callers import local_douyin, local_wechat
from tests.callers.local_alipay import LocalAlipay
from tests.callers.local_douyin import LocalDouyin
from tests.callers.local_wechat import LocalWeChat
from tests.callers.signing_keys import private_pem, public_pem
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.redis_server import redis_server
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "the-key-of-the-shop"
KEY_HASH = sha256(KEY.encode()).hexdigest()
JWT_SECRET = "a-secret-of-more-than-thirty-two-bytes"


@dataclass
class Access:
    running: Signer
    cloud: Cloud
    session: aiohttp.ClientSession
    wechat: LocalWeChat
    wx_app: str
    douyin: LocalDouyin
    tt_app: str
    alipay: LocalAlipay
    ali_app: str
    audit: Path

    async def request(
        self, app: str, upload_request: dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, dict[str, Any], Any]:
        url = f"{self.running.public}/v1/apps/{app}/uploads"
        async with self.session.post(url, json=upload_request or {}, headers=headers) as response:
            return response.status, await response.json(content_type=None), response.headers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(module_session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(module_session) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def access(
    cloud: Cloud, module_session: aiohttp.ClientSession, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Access]:
    tmp_path = tmp_path_factory.mktemp("access")
    wechat = LocalWeChat(cloud.wechat, module_session)
    wx_app = await wechat.app()
    douyin = LocalDouyin(cloud.wechat, module_session)
    tt_app = await douyin.app()
    alipay = LocalAlipay(cloud.wechat, module_session)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    raw_key = "".join(private_pem(key).splitlines()[1:-1])
    ali_app = await alipay.app(public_pem(key))
    url = await cloud.create_bucket("photos")
    config = tmp_path / "signer.yaml"
    config.write_text(
        f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", trusted_proxies: [127.0.0.1]}}
audit: {tmp_path}/audit.log
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}
defaults:
  bucket: photos
  region: cn-hangzhou
  domain: "{url}"
  credentials: r
  key_prefix: "{{app}}/{{caller}}/"
apps:
  {wx_app}:
    callers:
      - {{type: wechat, secret: {local_wechat.SECRET}, endpoint: "{cloud.wechat}"}}
      - {{type: jwt, secret: {JWT_SECRET}, audience: oss-signer}}
      - {{type: api_key, keys: {{shop: [{"0" * 64}, {KEY_HASH}]}}}}
    downloads: {{expires: 2m}}
    meta: [team]
  {tt_app}:
    callers: {{type: douyin, secret: {local_douyin.SECRET}, endpoint: "{cloud.wechat}"}}
  "{ali_app}":
    callers: {{type: alipay, private_key: {raw_key}, endpoint: "{cloud.wechat}"}}
  limited:
    key_prefix: limited/
    rate_limit: {{per_address: 3/h}}
""",
        encoding="utf-8",
    )
    async with signer(module_session, config) as running:
        yield Access(
            running, cloud, module_session, wechat, wx_app, douyin, tt_app, alipay, ali_app, tmp_path / "audit.log"
        )


async def test_a_wechat_code_is_exchanged_for_a_session(access: Access) -> None:
    code = await access.wechat.code(access.wx_app)
    status, form, headers = await access.request(access.wx_app, {"filename": "a.jpg"}, **{"X-WX-Code": code})
    assert status == 201, form
    openid = form["key_prefix"].split("/")[1]
    assert int(headers["X-Session-Expires-In"]) == 7200
    again, body, _ = await access.request(access.wx_app, {}, **{"X-WX-Code": code})
    assert (again, body["code"]) == (401, "unauthenticated")
    status, form, later = await access.request(access.wx_app, {}, **{"X-Session": headers["X-Session"]})
    assert (status, form["key_prefix"]) == (201, f"{access.wx_app}/{openid}/")
    assert "X-Session" not in later
    assert len(await access.wechat.calls(access.wx_app)) == 2
    in_body = await access.wechat.code(access.wx_app)
    status, form, _ = await access.request(access.wx_app, {"code": in_body})
    assert (status, form["key_prefix"]) == (201, f"{access.wx_app}/{openid}/")


async def test_a_douyin_code_is_exchanged_for_a_session(access: Access) -> None:
    code = await access.douyin.code(access.tt_app)
    status, form, headers = await access.request(access.tt_app, {"filename": "a.jpg"}, **{"X-WX-Code": code})
    assert status == 201, form
    again, body, _ = await access.request(access.tt_app, {}, **{"X-WX-Code": code})
    assert (again, body["code"]) == (401, "unauthenticated")
    status, later, _ = await access.request(access.tt_app, {}, **{"X-Session": headers["X-Session"]})
    assert (status, later["key_prefix"]) == (201, form["key_prefix"])
    assert form["key_prefix"].startswith(f"{access.tt_app}/_000"), "the openid is part of the key"


async def test_an_alipay_code_is_exchanged_for_a_session(access: Access) -> None:
    code = await access.alipay.code(access.ali_app)
    status, form, headers = await access.request(access.ali_app, {"filename": "a.jpg"}, **{"X-WX-Code": code})
    assert status == 201, form
    again, body, _ = await access.request(access.ali_app, {}, **{"X-WX-Code": code})
    assert (again, body["code"]) == (401, "unauthenticated")
    status, later, _ = await access.request(access.ali_app, {}, **{"X-Session": headers["X-Session"]})
    assert (status, later["key_prefix"]) == (201, form["key_prefix"])
    assert len(form["key_prefix"].split("/")[1]) == 64, "the open_id is part of the key"


async def test_the_first_kind_of_credential_that_is_presented_decides(access: Access) -> None:
    token = jwt.encode({"sub": "anna", "aud": "oss-signer", "exp": time.time() + 60}, JWT_SECRET, algorithm="HS256")
    status, form, _ = await access.request(access.wx_app, {}, Authorization=f"Bearer {token}")
    assert (status, form["key_prefix"]) == (201, f"{access.wx_app}/anna/")
    status, form, _ = await access.request(access.wx_app, {}, **{"X-Api-Key": KEY, "X-Caller": "bert"})
    assert (status, form["key_prefix"]) == (201, f"{access.wx_app}/bert/")
    for headers in ({"X-Session": "forged", "X-Api-Key": KEY}, {"Authorization": "Bearer x.y.z", "X-Api-Key": KEY}, {}):
        status, body, _ = await access.request(access.wx_app, {}, **headers)
        assert (status, body["code"]) == (401, "unauthenticated")


async def test_a_caller_can_download_only_its_own_objects(access: Access) -> None:
    headers = {"X-Api-Key": KEY, "X-Caller": "anna"}
    _, form, _ = await access.request(access.wx_app, {"filename": "ü.jpg", "meta": {"team": "a"}}, **headers)
    assert form["fields"]["x-oss-meta-team"] == "a"
    assert (await post_object(access.session, form["url"], form["fields"], b"hello", filename="ü.jpg"))[0] == 200
    url = f"{access.running.public}/v1/apps/{access.wx_app}/downloads"
    key = form["key"]
    async with access.session.get(url, params={"key": key}, headers=headers) as response:
        download = await response.json()
        assert response.status == 200, download
    async with access.session.get(download["url"]) as response:
        assert (response.status, await response.read()) == (200, b"hello")
    tampered = download["url"].replace("%C3%BC", "x")
    async with access.session.get(tampered) as response:
        assert response.status == 403
    for other in (f"{access.wx_app}/bert/ü.jpg", f"{access.wx_app}/anna/../bert/x", f"{access.wx_app}/anna/", "x", ""):
        async with access.session.get(url, params={"key": other}, headers=headers) as response:
            assert response.status in (400, 403)


async def test_only_metadata_that_the_app_allows_is_accepted(access: Access) -> None:
    headers = {"X-Api-Key": KEY}
    for meta, status in (({"team": "a"}, 201), ({"acl": "x"}, 400), ({"team": "a\r\nb"}, 400), ({"team": "$x"}, 400)):
        response, body, _ = await access.request(access.wx_app, {"meta": meta}, **headers)
        assert response == status, body


async def test_the_client_address_behind_a_trusted_proxy_is_limited(access: Access) -> None:
    for number in range(3):
        status, _, _ = await access.request("limited", {}, **{"X-Forwarded-For": f"10.0.0.{number}, 203.0.113.7"})
        assert status == 201
    status, body, headers = await access.request("limited", {}, **{"X-Forwarded-For": "203.0.113.7"})
    assert (status, body["code"]) == (429, "rate_limited")
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("3", "0")
    assert int(headers["Retry-After"]) >= 1
    status, _, _ = await access.request("limited", {}, **{"X-Forwarded-For": "203.0.113.8"})
    assert status == 201


async def test_every_signature_is_audited(access: Access) -> None:
    headers = {"X-Api-Key": KEY, "X-Caller": "anna", "X-Forwarded-For": "203.0.113.9", "X-Request-Id": "request-1"}
    _, form, _ = await access.request(access.wx_app, {"filename": "a.jpg"}, **headers)

    def entry() -> dict[str, Any] | None:
        lines = access.audit.read_text(encoding="utf-8").splitlines() if access.audit.exists() else []
        return next((each for line in lines if (each := json.loads(line))["request_id"] == "request-1"), None)

    line = await wait_until(entry)
    assert line["event"] == "signature"
    assert (line["app"], line["caller"], line["address"]) == (access.wx_app, "anna", "203.0.113.9")
    assert (line["key_prefix"], line["max_size"]) == (form["key_prefix"], form["max_size"])
    text = access.audit.read_text(encoding="utf-8") + "".join(access.running.output)
    for secret in (form["fields"]["x-oss-security-token"], form["fields"]["x-oss-signature"], KEY_HASH, JWT_SECRET):
        assert secret not in text


async def test_openapi_describes_every_route(access: Access) -> None:
    async with access.session.get(f"{access.running.public}/openapi.json") as response:
        document = await response.json()
    assert set(document["paths"]) == {
        "/generate_signature",
        "/v1/apps/{app_id}/uploads",
        "/v1/apps/{app_id}/multipart",
        *(f"/v1/apps/{{app_id}}/multipart/{step}" for step in ("parts", "list", "complete", "abort", "s3")),
        "/v1/apps/{app_id}/credentials",
        "/v1/apps/{app_id}/downloads",
        "/v1/apps/{app_id}/objects",
        "/v1/apps/{app_id}/callback",
        "/openapi.json",
    }


async def test_two_signers_share_a_limit_in_redis_and_continue_without_it(
    cloud: Cloud, module_session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with redis_server(tmp_path / "redis") as redis:
        config = tmp_path / "signer.yaml"
        config.write_text(
            f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
limits: redis://127.0.0.1:{redis.port}/0
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}
defaults: {{key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}}
apps:
  open: {{rate_limit: {{per_app: 10/h}}}}
  closed: {{rate_limit: {{per_app: 10/h, when_redis_is_gone: closed}}}}
""",
            encoding="utf-8",
        )
        async with signer(module_session, config) as one, signer(module_session, config) as other:

            async def request(which: Signer, app: str) -> int:
                async with module_session.post(f"{which.public}/v1/apps/{app}/uploads") as response:
                    return response.status

            statuses = [await request((one, other)[number % 2], "open") for number in range(14)]
            assert statuses == [201] * 10 + [429] * 4
            await redis.stop()
            assert await request(one, "open") == 201
            assert await request(one, "closed") == 429
