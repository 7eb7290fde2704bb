"""The team's own servers, by key; and what a caller's id may be."""

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
from tests.callers.requests import caller, refused, sent


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


@pytest.fixture
def servers() -> ApiKeyCheck:
    return ApiKeyCheck({"shop": [digest("new-key"), digest("old-key")], "crm": digest("crm-key")})


async def test_each_key_of_a_server_is_taken(servers: ApiKeyCheck) -> None:
    for key, name in (("new-key", "shop"), ("old-key", "shop"), ("crm-key", "crm")):
        assert servers.has_credential(sent(("x-api-key", key)))
        assert await caller(servers, sent(("x-api-key", key))) == name


async def test_a_server_may_ask_for_a_user(servers: ApiKeyCheck) -> None:
    assert await caller(servers, sent(("X-Api-Key", "old-key"), ("x-caller", "user@example.com"))) == "user@example.com"
    assert await caller(servers, sent(("X-Api-Key", "old-key"), ("X-Caller", ""))) == "shop"


@pytest.mark.parametrize(
    "key", ["", "new-key ", "NEW-KEY", "new-ke", "shop", digest("new-key"), "\udc80", "\ud800", "猫", "x" * 100_000]
)
async def test_other_keys_are_refused(key: str, servers: ApiKeyCheck) -> None:
    for context in (sent(("X-Api-Key", key)), sent(("X-Api-Key", key), ("X-Caller", "anna"))):
        await refused(servers, context, Unauthenticated, "X-Api-Key")


async def test_a_hash_is_compared_to_its_end(servers: ApiKeyCheck) -> None:
    """Of so many keys several have a hash that begins as a known one does."""
    for number in range(2000):
        await refused(servers, sent(("X-Api-Key", f"key-{number}")), Unauthenticated)


async def test_no_key_is_not_an_empty_one() -> None:
    servers = ApiKeyCheck({"shop": digest("")})
    for context in (sent(), sent(("X-Api-Key", ""))):
        await refused(servers, context, Unauthenticated)


async def test_nobody_is_named_without_a_key(servers: ApiKeyCheck) -> None:
    assert not servers.has_credential(sent(("X-Caller", "anna")))
    await refused(servers, sent(("X-Caller", "anna")), Unauthenticated)
    await refused(ApiKeyCheck({}), sent(("X-Api-Key", "new-key")), Unauthenticated)


async def test_a_header_that_comes_twice_is_refused(servers: ApiKeyCheck) -> None:
    twice = sent(("X-Api-Key", "wrong"), ("x-api-key", "new-key"))
    assert servers.has_credential(twice)
    await refused(servers, twice, InvalidRequest, "X-Api-Key occurs twice")
    twice = sent(("X-Api-Key", "new-key"), ("X-Caller", "anna"), ("X-Caller", "bert"))
    await refused(servers, twice, InvalidRequest, "X-Caller occurs twice")


@pytest.mark.parametrize(
    "name", ["x" * 129, "a\tb", "a\r\nb", "a\x00", "a\u202eb", "\u200b", "\ufeff", "a\u2028b", "\udc80"]
)
async def test_a_caller_is_short_and_can_be_read(name: str, servers: ApiKeyCheck) -> None:
    await refused(servers, sent(("X-Api-Key", "new-key"), ("X-Caller", name)), InvalidRequest, "printable")


def test_no_kind_of_callers_can_name_one_otherwise() -> None:
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
async def test_a_caller_who_would_leave_his_prefix_gets_no_key(name: str, servers: ApiKeyCheck) -> None:
    found = await caller(servers, sent(("X-Api-Key", "new-key"), ("X-Caller", name)))
    assert found is not None
    with pytest.raises(InvalidRequest):
        prefix_of(found)


@given(name=st.text() | st.text("./\\.$%{}~ a", min_size=1))
async def test_no_caller_leaves_his_prefix(name: str) -> None:
    servers: CallerCheck = ApiKeyCheck({"shop": digest("new-key")})
    try:
        found = await caller(servers, sent(("X-Api-Key", "new-key"), ("X-Caller", name)))
        assert found in (name, "shop")
        prefix = prefix_of(found or "")
    except Problem:
        return
    parts = prefix.split("/")
    assert (len(parts), parts[0], parts[2]) == (3, "users", "")
    assert parts[1] not in ("", ".", "..")
    assert not set(parts[1]) & set("\\$ %{}")
