"""Each app's own door, as the YAML sets it: who may ask, how often, what they get, and what is noted of it."""

from __future__ import annotations

import asyncio
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

from tests.callers import local_wechat
from tests.callers.local_wechat import LocalWeChat
from tests.e2e.callback_running import SECRET as NOTIFY_SECRET
from tests.e2e.callback_running import told
from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import post_object
from tests.harness.redis_server import redis_server
from tests.harness.signer import Signer, signer

KEY = "the-key-of-the-shop"
KEY_HASH = sha256(KEY.encode()).hexdigest()
JWT_SECRET = "a-secret-of-more-than-thirty-two-bytes"


@dataclass
class Doors:
    running: Signer
    cloud: Cloud
    session: aiohttp.ClientSession
    wechat: LocalWeChat
    wx_app: str
    audit: Path

    async def ask(
        self, app: str, wish: dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, dict[str, Any], Any]:
        url = f"{self.running.public}/v1/apps/{app}/uploads"
        async with self.session.post(url, json=wish or {}, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers


@pytest.fixture
async def doors(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> AsyncIterator[Doors]:
    wechat = LocalWeChat(cloud.wechat, session)
    wx_app = await wechat.app()
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
  limited:
    key_prefix: limited/
    rate_limit: {{per_address: 3/h}}
""",
        encoding="utf-8",
    )
    async with signer(session, config) as running:
        yield Doors(running, cloud, session, wechat, wx_app, tmp_path / "audit.log")


async def test_a_code_of_wechat_opens_a_session(doors: Doors) -> None:
    code = await doors.wechat.code(doors.wx_app)
    status, form, headers = await doors.ask(doors.wx_app, {"filename": "a.jpg"}, **{"X-WX-Code": code})
    assert status == 201, form
    openid = form["key_prefix"].split("/")[1]
    assert int(headers["X-Session-Expires-In"]) == 7200
    again, body, _ = await doors.ask(doors.wx_app, {}, **{"X-WX-Code": code})
    assert (again, body["code"]) == (401, "unauthenticated")
    status, form, later = await doors.ask(doors.wx_app, {}, **{"X-Session": headers["X-Session"]})
    assert (status, form["key_prefix"]) == (201, f"{doors.wx_app}/{openid}/")
    assert "X-Session" not in later
    assert len(await doors.wechat.calls(doors.wx_app)) == 2
    in_body = await doors.wechat.code(doors.wx_app)
    status, form, _ = await doors.ask(doors.wx_app, {"code": in_body})
    assert (status, form["key_prefix"]) == (201, f"{doors.wx_app}/{openid}/")


async def test_the_first_kind_that_is_presented_decides(doors: Doors) -> None:
    token = jwt.encode({"sub": "anna", "aud": "oss-signer", "exp": time.time() + 60}, JWT_SECRET, algorithm="HS256")
    status, form, _ = await doors.ask(doors.wx_app, {}, Authorization=f"Bearer {token}")
    assert (status, form["key_prefix"]) == (201, f"{doors.wx_app}/anna/")
    status, form, _ = await doors.ask(doors.wx_app, {}, **{"X-Api-Key": KEY, "X-Caller": "bert"})
    assert (status, form["key_prefix"]) == (201, f"{doors.wx_app}/bert/")
    for headers in ({"X-Session": "forged", "X-Api-Key": KEY}, {"Authorization": "Bearer x.y.z", "X-Api-Key": KEY}, {}):
        status, body, _ = await doors.ask(doors.wx_app, {}, **headers)
        assert (status, body["code"]) == (401, "unauthenticated")


async def test_a_caller_reads_its_own_and_nobody_elses(doors: Doors) -> None:
    headers = {"X-Api-Key": KEY, "X-Caller": "anna"}
    _, form, _ = await doors.ask(doors.wx_app, {"filename": "ü.jpg", "meta": {"team": "a"}}, **headers)
    assert form["fields"]["x-oss-meta-team"] == "a"
    assert (await post_object(doors.session, form["url"], form["fields"], b"hello", filename="ü.jpg"))[0] == 200
    url = f"{doors.running.public}/v1/apps/{doors.wx_app}/downloads"
    key = f"{doors.wx_app}/anna/ü.jpg"
    async with doors.session.get(url, params={"key": key}, headers=headers) as answer:
        download = await answer.json()
        assert answer.status == 200, download
    async with doors.session.get(download["url"]) as answer:
        assert (answer.status, await answer.read()) == (200, b"hello")
    tampered = download["url"].replace("%C3%BC", "x")
    async with doors.session.get(tampered) as answer:
        assert answer.status == 403
    for other in (f"{doors.wx_app}/bert/ü.jpg", f"{doors.wx_app}/anna/../bert/x", f"{doors.wx_app}/anna/", "x", ""):
        async with doors.session.get(url, params={"key": other}, headers=headers) as answer:
            assert answer.status in (400, 403)


async def test_the_wish_may_give_only_metadata_that_the_app_allows(doors: Doors) -> None:
    headers = {"X-Api-Key": KEY}
    for meta, status in (({"team": "a"}, 201), ({"acl": "x"}, 400), ({"team": "a\r\nb"}, 400), ({"team": "$x"}, 400)):
        answer, body, _ = await doors.ask(doors.wx_app, {"meta": meta}, **headers)
        assert answer == status, body


async def test_an_address_behind_a_trusted_proxy_is_limited(doors: Doors) -> None:
    for number in range(3):
        status, _, _ = await doors.ask("limited", {}, **{"X-Forwarded-For": f"10.0.0.{number}, 203.0.113.7"})
        assert status == 201
    status, body, headers = await doors.ask("limited", {}, **{"X-Forwarded-For": "203.0.113.7"})
    assert (status, body["code"]) == (429, "rate_limited")
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("3", "0")
    assert int(headers["Retry-After"]) >= 1
    status, _, _ = await doors.ask("limited", {}, **{"X-Forwarded-For": "203.0.113.8"})
    assert status == 201


async def test_every_signature_is_noted(doors: Doors) -> None:
    headers = {"X-Api-Key": KEY, "X-Caller": "anna", "X-Forwarded-For": "203.0.113.9", "X-Request-Id": "request-1"}
    _, form, _ = await doors.ask(doors.wx_app, {"filename": "a.jpg"}, **headers)
    async with asyncio.timeout(10):
        while not doors.audit.exists() or not doors.audit.read_text(encoding="utf-8"):
            await asyncio.sleep(0.02)
    [line] = [json.loads(line) for line in doors.audit.read_text(encoding="utf-8").splitlines()]
    assert line["event"] == "signature"
    assert (line["app"], line["caller"], line["address"]) == (doors.wx_app, "anna", "203.0.113.9")
    assert (line["key_prefix"], line["max_size"]) == (form["key_prefix"], form["max_size"])
    assert line["request_id"] == "request-1"
    text = doors.audit.read_text(encoding="utf-8") + "".join(doors.running.output)
    for secret in (form["fields"]["x-oss-security-token"], form["fields"]["x-oss-signature"], KEY_HASH, JWT_SECRET):
        assert secret not in text


async def test_openapi_describes_it(doors: Doors) -> None:
    async with doors.session.get(f"{doors.running.public}/openapi.json") as answer:
        document = await answer.json()
    assert set(document["paths"]) == {
        "/generate_signature",
        "/v1/apps/{app_id}/uploads",
        "/v1/apps/{app_id}/downloads",
        "/v1/apps/{app_id}/callback",
        "/openapi.json",
    }


async def test_two_signers_count_together_in_redis_and_go_on_without_it(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with redis_server(tmp_path / "redis") as redis:
        config = tmp_path / "signer.yaml"
        config.write_text(
            f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
limits: redis://127.0.0.1:{redis.port}/0
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}
defaults: {{bucket: photos, region: cn-hangzhou, credentials: r}}
apps:
  open: {{rate_limit: {{per_app: 10/h}}}}
  closed: {{rate_limit: {{per_app: 10/h, when_redis_is_gone: closed}}}}
""",
            encoding="utf-8",
        )
        async with signer(session, config) as one, signer(session, config) as other:

            async def ask(which: Signer, app: str) -> int:
                async with session.post(f"{which.public}/v1/apps/{app}/uploads") as answer:
                    return answer.status

            statuses = [await ask((one, other)[number % 2], "open") for number in range(14)]
            assert statuses == [201] * 10 + [429] * 4
            await redis.stop()
            assert await ask(one, "open") == 201
            assert await ask(one, "closed") == 429


async def test_callbacks_are_taken_and_handed_on(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    url = await cloud.create_bucket("photos")
    async with told() as target:
        config = tmp_path / "signer.yaml"
        text = f"""
version: 1
server:
  listen: "127.0.0.1:0"
  admin: "127.0.0.1:0"
  callback_queue: {tmp_path}/callbacks.db
  callback_keys: "{cloud.oss}/-/"
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}
apps:
  a:
    bucket: photos
    region: cn-hangzhou
    domain: "{url}"
    credentials: r
    key_prefix: a/
    callback:
      url: http://CALLBACK/v1/apps/a/callback
      body: bucket=${{bucket}}&object=${{object}}
      notify: {{url: "{target.target["url"]}", secret: "{NOTIFY_SECRET}"}}
"""
        config.write_text(text.replace("CALLBACK", "127.0.0.1:1"), encoding="utf-8")
        async with signer(session, config) as running:
            config.write_text(text.replace("http://CALLBACK", running.public), encoding="utf-8")
            async with session.post(f"{running.admin}/-/reload") as answer:
                assert answer.status == 200, await answer.text()
            form = await running.upload_form("a", {"filename": "a.jpg"})
            status, body, _ = await post_object(session, url, form["fields"], b"x", filename="a.jpg")
            assert (status, json.loads(body)) == (200, {"ok": True, "key": "a/a.jpg"})
            async with asyncio.timeout(20):
                while not target.taken:
                    await asyncio.sleep(0.02)
            [event] = target.taken.values()
            assert (event["app"], event["bucket"], event["key"]) == ("a", "photos", "a/a.jpg")
        assert NOTIFY_SECRET not in "".join(running.output)
