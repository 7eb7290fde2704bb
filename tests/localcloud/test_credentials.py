"""STS as the official SDK calls it, and the metadata service over plain HTTP."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from Tea.exceptions import TeaException
from yarl import URL

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.localcloud.forms import Key, signed_form
from tests.localcloud.sdk import assume, key_of
from tests.localcloud.signed_call import signed_assume_role


async def test_a_role_is_assumed_its_token_signs_and_chains(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    first = key_of(await assume(cloud))
    assert first.id.startswith("STS.")
    assert (await post_object(session, f"{cloud.oss}/photos", signed_form(first), b"x"))[0] == 204
    second = key_of(await assume(cloud, first))
    assert (await post_object(session, f"{cloud.oss}/photos", signed_form(second), b"x"))[0] == 204
    mixed = signed_form(Key(first.id, first.secret, second.token))
    _, body, _ = await post_object(session, f"{cloud.oss}/photos", mixed, b"x")
    assert "AccessKeyIdAndSecurityTokenNotMatch" in body


async def test_a_session_policy_narrows_the_role(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    allow = {"Effect": "Allow", "Action": "oss:PutObject", "Resource": "acs:oss:*:*:photos/mine/*"}
    deny = {"Effect": "Deny", "Action": ["oss:*"], "Resource": ["acs:oss:*:*:photos/mine/not?"]}
    key = key_of(await assume(cloud, policy=json.dumps({"Version": "1", "Statement": [allow, deny]})))
    for name, status in (("mine/a", 204), ("theirs/a", 403), ("mine/not1", 403), ("mine/not12", 204)):
        answer, body, _ = await post_object(
            session, f"{cloud.oss}/photos", signed_form(key, fields={"key": name}), b"x"
        )
        assert answer == status, body
        assert status == 204 or "Access denied by authorizer's policy." in body


WITH_CONDITION = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "oss:*", "Resource": "*", "Condition": {"Bool": {"acs:SecureTransport": "true"}}}
    ],
}


@pytest.mark.parametrize(
    ("key", "changes", "code"),
    [
        (Key(secret="wrong"), {}, "SignatureDoesNotMatch"),
        (Key(id="LTAI-nobody"), {}, "InvalidAccessKeyId.NotFound"),
        (Key("STS.x", "s", "CAIS"), {}, "InvalidAccessKeyId.NotFound"),
        (Key(), {"role_session_name": "a b"}, "InvalidParameter.RoleSessionName"),
        (Key(), {"duration_seconds": 899}, "InvalidParameter.DurationSeconds"),
        (Key(), {"duration_seconds": 3601}, "InvalidParameter.DurationSeconds"),
        (Key(), {"role_arn": "oss-upload"}, "InvalidParameter.RoleArn"),
        (Key(), {"role_arn": "acs:ram::9:role/x"}, "EntityNotExist.Role"),
        (Key(), {"policy": "{}"}, "InvalidParameter.PolicyGrammar"),
        (Key(), {"policy": "{"}, "InvalidParameter.PolicyGrammar"),
        (Key(), {"policy": '{"Version": "1", "Statement": [{"Effect": "Maybe"}]}'}, "InvalidParameter.PolicyGrammar"),
        (Key(), {"policy": json.dumps(WITH_CONDITION)}, "NotImplemented"),
        (Key(), {"policy": "[" * 2048}, "InvalidParameter.PolicyGrammar"),
        (Key(), {"policy": " " * 2049}, "InvalidParameter.PolicySize"),
    ],
)
async def test_sts_errors_have_the_format_of_sts(key: Key, changes: dict[str, Any], code: str, cloud: Cloud) -> None:
    with pytest.raises(TeaException) as refused:
        await assume(cloud, key, **changes)
    assert refused.value.code == code


async def test_a_call_is_valid_once_and_for_a_limited_time(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    async def code(call: tuple[URL, dict[str, str]]) -> str | None:
        async with session.post(call[0], headers=call[1]) as answer:
            found: str | None = (await answer.json()).get("Code")
            return found

    call = signed_assume_role(cloud.sts)
    assert [await code(call), await code(call)] == [None, "SignatureNonceUsed"]
    assert await code(signed_assume_role(cloud.sts)) is None
    assert await code(signed_assume_role(cloud.sts, date="2020-01-01T00:00:00Z")) == "InvalidTimeStamp.Expired"
    assert await code(signed_assume_role(cloud.sts, date="yesterday")) == "InvalidTimeStamp.Format"


async def test_a_token_expires_at_its_expiration(session: aiohttp.ClientSession) -> None:
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou", "--token-seconds", "600") as cloud:
        key = key_of(await assume(cloud))
        await cloud.set_faults(oss={"kind": "clock", "offset_seconds": 590})
        assert (await post_object(session, f"{cloud.oss}/photos", signed_form(key), b"x"))[0] == 204
        await cloud.set_faults(oss={"kind": "clock", "offset_seconds": 601})
        _, body, _ = await post_object(session, f"{cloud.oss}/photos", signed_form(key), b"x")
        assert "SecurityTokenExpired" in body
        await cloud.set_faults(sts={"kind": "clock", "offset_seconds": 601})
        with pytest.raises(TeaException) as refused:
            await assume(cloud, key)
        assert refused.value.code == "InvalidSecurityToken.Expired"


async def test_hardened_metadata_requires_a_token(session: aiohttp.ClientSession) -> None:
    path = "/latest/meta-data/ram/security-credentials/"
    async with local_cloud(session, "--hardened") as cloud:
        for ttl, status in (("0", 400), ("21601", 400), ("x", 400), ("21600", 200)):
            headers = {"X-aliyun-ecs-metadata-token-ttl-seconds": ttl}
            async with session.put(f"{cloud.metadata}/latest/api/token", headers=headers) as answer:
                assert answer.status == status
                token = await answer.text()
        for given, status in ((None, 403), ("forged", 403), (token, 200)):
            headers = {"X-aliyun-ecs-metadata-token": given} if given else {}
            async with session.get(cloud.metadata + path, headers=headers) as answer:
                assert answer.status == status
                role = await answer.text()
        bodies = []
        for name, status in ((role, 200), (role, 200), ("nobody", 404)):
            headers = {"X-aliyun-ecs-metadata-token": token}
            async with session.get(cloud.metadata + path + name, headers=headers) as answer:
                assert answer.status == status
                bodies += [await answer.json(content_type=None)] if status == 200 else []
        assert bodies[0]["AccessKeyId"] == bodies[1]["AccessKeyId"]
        assert bodies[0]["Code"] == "Success"


@pytest.mark.parametrize(("status", "allow"), [(404, None), (405, "GET")])
async def test_metadata_without_tokens_has_only_the_normal_mode(
    cloud: Cloud, session: aiohttp.ClientSession, status: int, allow: str | None
) -> None:
    await cloud.set_metadata_token(status)
    headers = {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}
    async with session.put(f"{cloud.metadata}/latest/api/token", headers=headers) as answer:
        assert (answer.status, answer.headers.get("Allow")) == (status, allow)
    async with session.get(f"{cloud.metadata}/latest/meta-data/ram/security-credentials/") as answer:
        assert (answer.status, await answer.text()) == (200, "oss-uploader")
    await cloud.set_metadata_token(None)
    async with session.put(f"{cloud.metadata}/latest/api/token", headers=headers) as answer:
        assert answer.status == 200
    async with session.put(f"{cloud.oss}/-/metadata-token", json={"status": 500}) as answer:
        assert answer.status == 400


async def test_plain_metadata_rejects_a_forged_token(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    path = f"{cloud.metadata}/latest/meta-data/ram/security-credentials/"
    for headers, status in (({}, 200), ({"X-aliyun-ecs-metadata-token": "forged"}, 403)):
        async with session.get(path, headers=headers) as answer:
            assert answer.status == status


async def test_faults_act_and_can_be_removed(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    url = f"{cloud.metadata}/latest/meta-data/instance-id"
    await cloud.set_faults(metadata={"kind": "status", "status": 502})
    async with session.get(url) as answer:
        assert (answer.status, answer.content_type) == (502, "text/html")
    await cloud.set_faults(metadata={"kind": "reset"})
    with pytest.raises(aiohttp.ClientError):
        await session.get(url)
    await cloud.set_faults(metadata={"kind": "hang"})
    with pytest.raises(TimeoutError):
        await session.get(url, timeout=aiohttp.ClientTimeout(total=0.3))
    await cloud.set_faults(sts={"kind": "throttling"})
    with pytest.raises(TeaException) as refused:
        await assume(cloud)
    assert refused.value.code == "Throttling.User"
    await cloud.set_faults(metadata={"kind": "truncated"})
    with pytest.raises(aiohttp.ClientPayloadError):
        async with session.get(url) as answer:
            await answer.read()
    await cloud.set_faults(metadata={"kind": "malformed"})
    async with session.get(url) as answer:
        assert (await answer.text()).endswith("<")
    wrong: list[Any] = [{"nowhere": {"kind": "hang"}}, {"sts": {"kind": "fire"}}, {"sts": {"kind": "latency"}}, []]
    for bad in wrong:
        async with session.put(f"{cloud.sts}/-/faults", json=bad) as answer:
            assert answer.status == 400
    async with session.delete(f"{cloud.sts}/-/faults") as answer:
        assert await answer.json() == {}
    async with session.get(url) as answer:
        assert answer.status == 200


async def test_faults_of_issued_tokens(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    good = key_of(await assume(cloud))
    for fault, code in (
        ({"kind": "expired"}, "SecurityTokenExpired"),
        ({"kind": "nearly_expired", "seconds": 60}, None),
    ):
        await cloud.set_faults(sts=fault)
        status, body, _ = await post_object(
            session, f"{cloud.oss}/photos", signed_form(key_of(await assume(cloud))), b"x"
        )
        assert (status == 204) is (code is None), body
        assert code is None or code in body
    await cloud.set_faults(oss={"kind": "revoked"})
    _, body, _ = await post_object(session, f"{cloud.oss}/photos", signed_form(good), b"x")
    assert "InvalidSecurityToken" in body
    new = key_of(await assume(cloud))
    assert (await post_object(session, f"{cloud.oss}/photos", signed_form(new), b"x"))[0] == 204
