"""What the service counts requests by: addresses, caller ids, and logins."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from multidict import CIMultiDict
from prometheus_client.parser import text_string_to_metric_families

from signer.errors import Problem, RateLimited, Unauthenticated
from signer.limits.token_bucket import address_bucket
from signer.request_context import RequestContext
from signer.revision import Context
from signer.service import Service
from signer.signing.upload_rules import UploadRequest
from tests.callers.stub import document, stub
from tests.harness.http_service import running_service

KEY = "the-key-of-the-shop"
DEFINITIONS = """
version: 1
credentials: {{r: {{type: static, access_key_id: LTAI, access_key_secret: secret}}}}
defaults: {{bucket: photos, region: cn-hangzhou, credentials: r, key_prefix: "{{app}}/"}}
apps:
  photos: {app}
"""


def request(service: Service, address: str = "192.0.2.7", **headers: str) -> Context:
    named = CIMultiDict((name.replace("_", "-"), value) for name, value in headers.items())
    revision = service.current
    return RequestContext(named, address, revision=revision, app_id="photos", app=revision.registry.apps["photos"])


async def problem(service: Service, context: Context) -> type[Problem] | None:
    """Return the type of the problem that a request for an upload gets, or None if it is signed."""
    try:
        await service.sign_upload(context, UploadRequest())
    except Problem as raised:
        return type(raised)
    return None


def count(service: Service, name: str, **labels: str) -> float:
    text = service.metrics.exposition().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == name and sample.labels == labels)


def definitions(app: object) -> str:
    return DEFINITIONS.format(app=json.dumps(app))


def wechat(endpoint: str, **authentication: str) -> dict[str, object]:
    callers = {"type": "wechat", "secret": "the-app-secret", "endpoint": endpoint}
    return {"callers": callers, "rate_limit": {"authentication": authentication}}


async def test_logins_are_limited_before_wechat_is_called() -> None:
    async with stub(document({"errcode": 40029})) as server:
        app = wechat(server.url, per_address="5/h", per_app="8/h")
        async with running_service(definitions(app)) as service:
            for _ in range(200):
                code = request(service, "192.0.2.7", X_WX_Code="garbage")
                assert await problem(service, code) in (Unauthenticated, RateLimited)
            assert server.requests == 5
            for number in range(20):
                await problem(service, request(service, f"198.51.100.{number}", X_WX_Code="garbage"))
            assert server.requests == 8
            with pytest.raises(RateLimited) as raised:
                await service.sign_upload(request(service, X_WX_Code="garbage"), UploadRequest())
            assert raised.value.retry_after_seconds
            assert count(service, "oss_signer_code_exchanges_total", app="photos", outcome="admitted") == 8
            assert count(service, "oss_signer_code_exchanges_total", app="photos", outcome="limited") == 213
            assert count(service, "oss_signer_rate_limited_total", app="photos") == 213


async def test_logins_are_limited_by_default() -> None:
    async with (
        stub(document({"errcode": 40029})) as server,
        running_service(definitions(wechat(server.url))) as service,
    ):
        for _ in range(200):
            await problem(service, request(service, X_WX_Code="garbage"))
        assert 120 <= server.requests < 200


async def test_sessions_are_not_counted_as_logins() -> None:
    async with stub(document({"openid": "anna"})) as server:
        async with running_service(definitions(wechat(server.url, per_address="1/h"))) as service:
            result = await service.sign_upload(request(service, X_WX_Code="code"), UploadRequest())
            assert result.caller.session is not None
            token = result.caller.session.token
            for _ in range(20):
                assert await problem(service, request(service, X_Session=token)) is None
            assert await problem(service, request(service, X_WX_Code="code")) is RateLimited
        assert server.requests == 1


async def test_ipv6_clients_are_counted_by_their_64() -> None:
    async with running_service(definitions({"rate_limit": {"per_address": "2/h"}})) as service:
        for address, expected in [
            ("2001:db8::1", None),
            ("2001:db8::ffff:2", None),
            ("2001:db8:0:0:3::", RateLimited),
            ("2001:db8:0:1::1", None),
        ]:
            assert await problem(service, request(service, address)) is expected


async def test_a_caller_id_and_an_address_never_share_a_bucket() -> None:
    app = {
        "callers": [{"type": "api_key", "keys": {"shop": sha256(KEY.encode()).hexdigest()}}, {"type": "open"}],
        "rate_limit": {"per_caller": "1/h"},
    }
    async with running_service(definitions(app)) as service:
        assert await problem(service, request(service, "192.0.2.1", X_Api_Key=KEY, X_Caller="192.0.2.7")) is None
        assert await problem(service, request(service, "192.0.2.7")) is None
        assert await problem(service, request(service, "192.0.2.7")) is RateLimited
        assert await problem(service, request(service, "192.0.2.1", X_Api_Key=KEY, X_Caller="192.0.2.7")) is RateLimited


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_the_bucket_of_an_address(address: str, bucket: str) -> None:
    assert address_bucket(address) == bucket
