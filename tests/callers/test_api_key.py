"""API keys, and which caller ids are valid."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.callers.api_key import ApiKeyCheck
from signer.callers.caller import Caller, CallerCheck
from signer.errors import InvalidRequest, Problem, Unauthenticated
from signer.signing.object_key import KeyNaming, Template
from tests.callers.requests import assert_rejected, caller_id, request


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


@pytest.fixture
def servers() -> ApiKeyCheck:
    return ApiKeyCheck({"shop": [digest("new-key"), digest("old-key")], "crm": digest("crm-key")})


async def test_each_key_of_a_server_is_accepted(servers: ApiKeyCheck) -> None:
    for key, name in (("new-key", "shop"), ("old-key", "shop"), ("crm-key", "crm")):
        assert servers.has_credential(request(("x-api-key", key)))
        assert await caller_id(servers, request(("x-api-key", key))) == name


async def test_a_server_may_name_a_user(servers: ApiKeyCheck) -> None:
    assert (
        await caller_id(servers, request(("X-Api-Key", "old-key"), ("x-caller", "user@example.com")))
        == "user@example.com"
    )
    assert await caller_id(servers, request(("X-Api-Key", "old-key"), ("X-Caller", ""))) == "shop"


@pytest.mark.parametrize(
    "key", ["", "new-key ", "NEW-KEY", "new-ke", "shop", digest("new-key"), "\udc80", "\ud800", "猫", "x" * 100_000]
)
async def test_other_keys_are_rejected(key: str, servers: ApiKeyCheck) -> None:
    for context in (request(("X-Api-Key", key)), request(("X-Api-Key", key), ("X-Caller", "anna"))):
        await assert_rejected(servers, context, Unauthenticated, "X-Api-Key")


async def test_the_whole_hash_is_compared(servers: ApiKeyCheck) -> None:
    """Among this many keys, some have a hash with the first bytes of a known one."""
    for number in range(2000):
        await assert_rejected(servers, request(("X-Api-Key", f"key-{number}")), Unauthenticated)


async def test_a_missing_key_is_not_an_empty_key() -> None:
    servers = ApiKeyCheck({"shop": digest("")})
    for context in (request(), request(("X-Api-Key", ""))):
        await assert_rejected(servers, context, Unauthenticated)


async def test_a_user_without_a_key_is_rejected(servers: ApiKeyCheck) -> None:
    assert not servers.has_credential(request(("X-Caller", "anna")))
    await assert_rejected(servers, request(("X-Caller", "anna")), Unauthenticated)
    await assert_rejected(ApiKeyCheck({}), request(("X-Api-Key", "new-key")), Unauthenticated)


async def test_a_header_that_occurs_twice_is_rejected(servers: ApiKeyCheck) -> None:
    twice = request(("X-Api-Key", "wrong"), ("x-api-key", "new-key"))
    assert servers.has_credential(twice)
    await assert_rejected(servers, twice, InvalidRequest, "X-Api-Key occurs twice")
    twice = request(("X-Api-Key", "new-key"), ("X-Caller", "anna"), ("X-Caller", "bert"))
    await assert_rejected(servers, twice, InvalidRequest, "X-Caller occurs twice")


@pytest.mark.parametrize(
    "name", ["x" * 129, "a\tb", "a\r\nb", "a\x00", "a\u202eb", "\u200b", "\ufeff", "a\u2028b", "\udc80"]
)
async def test_a_caller_id_is_short_and_printable(name: str, servers: ApiKeyCheck) -> None:
    await assert_rejected(servers, request(("X-Api-Key", "new-key"), ("X-Caller", name)), InvalidRequest, "printable")


def test_every_caller_id_is_checked() -> None:
    for name in ("", "a\nb"):
        with pytest.raises(InvalidRequest):
            Caller(name)
    assert Caller("猫 @ home").id == "猫 @ home"


def prefix_of(name: str) -> str:
    naming = KeyNaming(Template.parse("users/{caller}/"))
    return naming.keys(app_id="photos", caller=name, filename=None, now=datetime(2026, 1, 1, tzinfo=UTC))[0]


@pytest.mark.parametrize(
    "name",
    ["..", ".", "../anna", "a/../b", "a/b", "/", "\\..", "a\\b", "$x", "${filename}", "a b", "猫", "%2e%2e", "{uuid}"],
)
async def test_a_caller_that_would_leave_its_prefix_gets_no_key(name: str, servers: ApiKeyCheck) -> None:
    found = await caller_id(servers, request(("X-Api-Key", "new-key"), ("X-Caller", name)))
    assert found is not None
    with pytest.raises(InvalidRequest):
        prefix_of(found)


@given(name=st.text() | st.text("./\\.$%{}~ a", min_size=1))
async def test_no_caller_leaves_its_prefix(name: str) -> None:
    servers: CallerCheck = ApiKeyCheck({"shop": digest("new-key")})
    try:
        found = await caller_id(servers, request(("X-Api-Key", "new-key"), ("X-Caller", name)))
        assert found in (name, "shop")
        prefix = prefix_of(found or "")
    except Problem:
        return
    parts = prefix.split("/")
    assert (len(parts), parts[0], parts[2]) == (3, "users", "")
    assert parts[1] not in ("", ".", "..")
    assert not set(parts[1]) & set("\\$ %{}")
