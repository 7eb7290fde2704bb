"""AccessKeys that are created, disabled and enabled while the local cloud runs."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from Tea.exceptions import TeaException

from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import post_object
from tests.localcloud.forms import Key, signed_form
from tests.localcloud.sdk import assume, key_of

NEW = Key("LTAI-new", "new-secret")


async def put(cloud: Cloud, key_id: str, wanted: Any) -> tuple[int, dict[str, Any]]:
    async with cloud.session.put(f"{cloud.sts}/-/access-keys/{key_id}", json=wanted) as answer:
        return answer.status, await answer.json()


async def code_of_assume(cloud: Cloud, key: Key) -> str | None:
    try:
        await assume(cloud, key)
    except TeaException as error:
        code: str = error.code
        return code
    return None


async def code_of_upload(cloud: Cloud, key: Key) -> str | None:
    status, body, _ = await post_object(cloud.session, f"{cloud.oss}/photos", signed_form(key), b"x")
    return None if status == 204 else body


async def test_keys_are_rotated_while_it_runs(cloud: Cloud) -> None:
    assert await code_of_assume(cloud, NEW) == "InvalidAccessKeyId.NotFound"
    assert await put(cloud, NEW.id, {"secret": NEW.secret}) == (201, {"id": NEW.id, "enabled": True})
    assert await code_of_assume(cloud, NEW) is None
    assert await code_of_upload(cloud, NEW) is None

    assert await put(cloud, "LTAI-local", {"enabled": False}) == (200, {"id": "LTAI-local", "enabled": False})
    with pytest.raises(TeaException) as refused:
        await assume(cloud, Key())
    error: Any = refused.value
    assert (error.status_code, error.code) == (400, "InvalidAccessKeyId.Inactive")
    assert "Specified access key is disabled." in error.message
    body = await code_of_upload(cloud, Key()) or ""
    assert "<Code>InvalidAccessKeyId</Code>" in body
    assert "<EC>0002-00000903</EC>" in body
    assert await code_of_assume(cloud, NEW) is None

    await put(cloud, "LTAI-local", {"enabled": True})
    assert await code_of_assume(cloud, Key()) is None
    assert await code_of_upload(cloud, Key()) is None


async def test_a_secret_is_replaced(cloud: Cloud) -> None:
    assert (await put(cloud, "LTAI-local", {"secret": "second"}))[0] == 200
    assert await code_of_assume(cloud, Key()) == "SignatureDoesNotMatch"
    assert await code_of_assume(cloud, Key(secret="second")) is None


async def test_a_token_outlives_the_key_that_got_it(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    token = key_of(await assume(cloud))
    await put(cloud, "LTAI-local", {"enabled": False})
    assert await code_of_upload(cloud, token) is None


async def test_an_invalid_key_is_rejected(cloud: Cloud) -> None:
    wrong: list[tuple[str, Any]] = [
        ("LTAI-new", {}),
        ("LTAI-new", {"enabled": True}),
        ("LTAI-new", {"secret": ""}),
        ("LTAI-new", {"secret": 5}),
        ("LTAI-local", {"enabled": "no"}),
        ("LTAI-local", {"disabled": True}),
        ("LTAI-local", []),
        ("a b", {"secret": "s"}),
    ]
    for key_id, wanted in wrong:
        status, body = await put(cloud, key_id, wanted)
        assert (status, set(body)) == (400, {"error"}), (key_id, wanted)
    assert await code_of_assume(cloud, Key()) is None
