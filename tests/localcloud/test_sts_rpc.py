"""RPC signatures of calls to STS, and GetCallerIdentity."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi import utils_models

from tests.harness.local_cloud import Cloud
from tests.harness.npm import install_packages
from tests.harness.processes import run
from tests.localcloud.forms import Key
from tests.localcloud.sdk import ACCOUNT, ROLE, assume, key_of

ORACLE = Path(__file__).parents[1] / "oracle"


def signed(method: str, key: Key = Key(), age: timedelta = timedelta(), **changes: str | None) -> dict[str, str]:  # noqa: B008
    """Return the parameters of GetCallerIdentity, signed from the documentation. A change to None removes one."""
    parameters = {
        "Action": "GetCallerIdentity",
        "Version": "2015-04-01",
        "Format": "JSON",
        "AccessKeyId": key.id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Anything": "a b+c~*/照",
    }
    if key.token is not None:
        parameters["SecurityToken"] = key.token
    given = {name: value for name, value in {**parameters, **changes}.items() if value is not None}
    query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(given.items()))
    to_sign = f"{method}&%2F&{quote(query, safe='~')}"
    signature = hmac.digest(f"{key.secret}&".encode(), to_sign.encode(), "sha1")
    return {**given, "Signature": base64.b64encode(signature).decode()}


async def call(cloud: Cloud, method: str, parameters: dict[str, str]) -> tuple[int, dict[str, Any]]:
    where: dict[str, Any] = {"params": parameters} if method == "GET" else {"data": parameters}
    async with cloud.session.request(method, f"{cloud.sts}/", **where) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_caller_learns_who_it_is(cloud: Cloud, method: str) -> None:
    status, user = await call(cloud, method, signed(method))
    assert (status, user["IdentityType"], user["AccountId"]) == (200, "RAMUser", ACCOUNT)
    assert user["Arn"] == f"acs:ram::{ACCOUNT}:user/ltai-local"
    token = key_of(await assume(cloud))
    status, role = await call(cloud, method, signed(method, token))
    assert (status, role["IdentityType"]) == (200, "AssumedRoleUser")
    assert role["Arn"] == f"acs:ram::{ACCOUNT}:assumed-role/oss-upload/oss-signer"
    assert role["PrincipalId"] == f"{role['RoleId']}:oss-signer"


async def test_a_v3_caller_learns_who_it_is(cloud: Cloud) -> None:
    token = key_of(await assume(cloud))
    config = utils_models.Config(
        access_key_id=token.id,
        access_key_secret=token.secret,
        security_token=token.token,
        endpoint=cloud.sts.removeprefix("http://"),
        protocol="http",
    )
    body = (await asyncio.to_thread(Client(config).get_caller_identity)).body
    assert (body.identity_type, body.account_id) == ("AssumedRoleUser", ACCOUNT)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"key": Key(secret="wrong")}, 400, "SignatureDoesNotMatch"),
        ({"key": Key(id="nobody")}, 404, "InvalidAccessKeyId.NotFound"),
        ({"age": timedelta(minutes=16)}, 400, "InvalidTimeStamp.Expired"),
        ({"Timestamp": "today"}, 400, "InvalidTimeStamp.Format"),
        ({"SignatureNonce": None}, 400, "SignatureNonceUsed"),
        ({"AccessKeyId": None}, 400, "MissingAccessKeyId"),
        ({"SignatureMethod": "HMAC-SHA256"}, 400, "InvalidParameter.SignatureMethod"),
        ({"Format": None}, 501, "NotImplemented"),
        ({"Action": "GetFederationToken"}, 404, "InvalidAction.NotFound"),
        ({"Action": "AssumeRoleWithSAML"}, 501, "NotImplemented"),
        ({"Action": "AssumeRole", "SourceIdentity": "anna"}, 501, "NotImplemented"),
        ({"Version": "2014-01-01"}, 400, "InvalidVersion"),
        ({"Version": None}, 400, "InvalidVersion"),
    ],
)
async def test_what_sts_refuses(cloud: Cloud, changes: dict[str, Any], status: int, code: str) -> None:
    found = await call(cloud, "GET", signed("GET", **changes))
    assert (found[0], found[1]["Code"]) == (status, code)


async def test_a_request_cannot_be_changed_or_repeated(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    parameters = signed("GET")
    changed = await call(cloud, "GET", {**parameters, "Anything": "else"})
    assert changed[1]["Code"] == "SignatureDoesNotMatch"
    assert (await call(cloud, "POST", parameters))[1]["Code"] == "SignatureDoesNotMatch"
    assert (await call(cloud, "GET", parameters))[0] == 200
    assert (await call(cloud, "GET", parameters))[1]["Code"] == "SignatureNonceUsed"


@pytest.mark.slow
async def test_pop_core_assumes_a_role(cloud: Cloud) -> None:
    await install_packages(ORACLE)
    given = {"endpoint": cloud.sts, "accessKeyId": "LTAI-local", "accessKeySecret": "local-secret", "role": ROLE}
    result = await run("node", ORACLE / "sts.cjs", stdin=json.dumps(given))
    assert result.status == 0, result.err
    found = json.loads(result.out)
    assert (found["refused"], found["wrong"]) == ("InvalidParameter.RoleSessionName", "SignatureDoesNotMatch")
    assert found["identity"]["Arn"].endswith(":assumed-role/oss-upload/phone")
