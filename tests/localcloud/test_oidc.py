"""AssumeRoleWithOIDC as the official SDK calls it: without a key, with the token of a service account."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from Tea.exceptions import TeaException

from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import post_object
from tests.localcloud.forms import signed_form
from tests.localcloud.sdk import ACCOUNT, PROVIDER, ROLE, assume_with_oidc, key_of

ISSUER = "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0123456789"


def encoded(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def token(**changes: Any) -> str:
    """Return a token as Kubernetes writes it, with changes (None removes a claim) and a meaningless signature."""
    now = int(time.time())
    claims = {
        "aud": ["sts.aliyuncs.com"],
        "exp": now + 3600,
        "iat": now,
        "iss": ISSUER,
        "sub": "system:serviceaccount:web:oss-signer",
        **changes,
    }
    payload = json.dumps({name: value for name, value in claims.items() if value is not None})
    return f"{encoded(json.dumps({'alg': 'RS256', 'kid': 'k'}))}.{encoded(payload)}.{encoded('signature')}"


async def test_the_token_of_a_pod_gives_a_usable_credential(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    policy = {"Effect": "Allow", "Action": "oss:PutObject", "Resource": "acs:oss:*:*:photos/mine/*"}
    exp = int(time.time()) + 600
    body = await assume_with_oidc(
        cloud,
        token(aud=["sts.aliyuncs.com", "other"], exp=exp),
        duration_seconds=900,
        policy=json.dumps({"Version": "1", "Statement": [policy]}),
    )
    info = body.oidctoken_info
    assert (info.subject, info.issuer) == ("system:serviceaccount:web:oss-signer", ISSUER)
    assert info.client_ids == "sts.aliyuncs.com,other"
    assert datetime.fromisoformat(info.expiration_time).timestamp() == exp
    assert body.assumed_role_user.arn == f"acs:ram::{ACCOUNT}:role/oss-upload/oss-signer"
    assert body.assumed_role_user.assumed_role_id.endswith(":oss-signer")
    assert body.request_id
    lifetime = datetime.fromisoformat(body.credentials.expiration) - datetime.now(UTC)
    assert timedelta(seconds=600) < lifetime <= timedelta(seconds=900)
    for name, status in (("mine/a", 204), ("theirs/a", 403)):
        form = signed_form(key_of(body), fields={"key": name})
        assert (await post_object(session, f"{cloud.oss}/photos", form, b"x"))[0] == status


async def test_unusual_valid_tokens_are_accepted(cloud: Cloud) -> None:
    for accepted in (
        token(aud="sts.aliyuncs.com"),
        token(iss=None, iat=None),
        token(exp=time.time() + 99.5),
        token(padding="p" * 14_000),
    ):
        assert (await assume_with_oidc(cloud, accepted)).credentials.access_key_id.startswith("STS.")


NO_PERMISSION = "AuthenticationFail.NoPermission"
INVALID = "AuthenticationFail.OIDCToken.Invalid"

REFUSALS: list[tuple[str, dict[str, Any], int, str, str]] = [
    (token(), {"oidcprovider_arn": "ack"}, 401, NO_PERMISSION, "Parameter OIDCProviderArn is not valid"),
    (token(), {"oidcprovider_arn": None}, 401, NO_PERMISSION, "Parameter OIDCProviderArn is not valid"),
    (token(), {"oidcprovider_arn": "acs:ram::9:oidc-provider/x"}, 401, NO_PERMISSION, "No such OIDC Provider"),
    ("", {}, 401, INVALID, "can not empty"),
    ("a.b", {}, 401, INVALID, "divided into 3 parts"),
    ("a..b", {}, 401, INVALID, "divided into 3 parts"),
    ("a.b!.c", {}, 401, INVALID, "Cannot decode base64"),
    ("a.é.c", {}, 401, INVALID, "Cannot decode base64"),
    (f"a.{encoded('{')}.c", {}, 401, INVALID, "Jwt content is invalid"),
    (f"a.{encoded('[' * 9000)}.c", {}, 401, INVALID, "Jwt content is invalid"),
    (f"a.{encoded('[]')}.c", {}, 401, INVALID, "Jwt content is invalid"),
    (token(exp=None), {}, 401, INVALID, "Jwt content is invalid"),
    (token(exp="tomorrow"), {}, 401, INVALID, "Jwt content is invalid"),
    (token(exp=True), {}, 401, INVALID, "Jwt content is invalid"),
    (token(exp=float("nan")), {}, 401, INVALID, "Jwt content is invalid"),
    (token(exp=1e300), {}, 401, INVALID, "Jwt content is invalid"),
    (token(sub=None), {}, 401, INVALID, "Jwt content is invalid"),
    (token(aud=[5]), {}, 401, INVALID, "Jwt content is invalid"),
    (token(padding="p" * 20_000), {}, 401, INVALID, "Jwt content is invalid"),
    (token(exp=time.time() - 1), {}, 401, "AuthenticationFail.OIDCToken.Expired", "This JsonWebToken is expired."),
    (token(aud=["https://kubernetes.default.svc"]), {}, 401, "AuthenticationFail.OIDCToken.AudienceNotMatch", "audien"),
    (token(aud="sts.aliyuncs.com.evil"), {}, 401, "AuthenticationFail.OIDCToken.AudienceNotMatch", "audience"),
    (token(aud=[]), {}, 401, "AuthenticationFail.OIDCToken.AudienceNotMatch", "audience"),
    (token(sub="somebody"), {}, 401, NO_PERMISSION, "There is no permission"),
    (token(sub="system:serviceaccount:web"), {}, 401, NO_PERMISSION, "There is no permission"),
    (token(), {"role_arn": "acs:ram::9:role/x"}, 404, "EntityNotExist.Role", "acs:ram::9:role/x"),
    (token(), {"role_arn": "x"}, 400, "InvalidParameter.RoleArn", ""),
    (token(), {"role_session_name": "a b"}, 400, "InvalidParameter.RoleSessionName", ""),
    (token(), {"duration_seconds": 899}, 400, "InvalidParameter.DurationSeconds", ""),
    (token(), {"duration_seconds": 3601}, 400, "InvalidParameter.DurationSeconds", ""),
    (token(), {"policy": "{}"}, 400, "InvalidParameter.PolicyGrammar", ""),
]


async def test_each_error_has_its_status_code_and_message(cloud: Cloud) -> None:
    for oidctoken, changes, status, code, message in REFUSALS:
        with pytest.raises(TeaException) as refused:
            await assume_with_oidc(cloud, oidctoken, **changes)
        error: Any = refused.value
        assert (error.status_code, error.code) == (status, code), (oidctoken[:60], changes)
        assert message in error.message, error.message


async def test_the_clock_of_sts_decides_about_expiration(cloud: Cloud) -> None:
    await cloud.set_faults(sts={"kind": "clock", "offset_seconds": 4000})
    with pytest.raises(TeaException) as refused:
        await assume_with_oidc(cloud, token())
    assert refused.value.code == "AuthenticationFail.OIDCToken.Expired"


async def test_a_posted_form_is_read_too(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    """The credentials SDK sends the action in the query and everything else in the body."""
    form = {"OIDCProviderArn": PROVIDER, "OIDCToken": token(), "RoleArn": ROLE, "RoleSessionName": "oss-signer"}
    query = {"Action": "AssumeRoleWithOIDC", "Version": "2015-04-01", "Format": "JSON"}
    async with session.post(cloud.sts, params=query, data=form) as answer:
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["OIDCTokenInfo"]["Issuer"] == ISSUER
    async with session.get(f"{cloud.sts}/-/calls") as answer:
        [call] = await answer.json()
    assert (call["action"], call["who"], call["status"]) == ("AssumeRoleWithOIDC", ROLE, 200)
