"""Object keys: for any client input, a key is safe, readable and below its prefix, or the request is rejected."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signer.errors import InvalidRequest
from signer.signing.key_ownership import is_key_of_app, is_key_of_caller
from signer.signing.object_key import (
    MAX_KEY_BYTES,
    PREFIX_PLACEHOLDERS,
    InvalidTemplate,
    KeyNaming,
    Template,
    unique_key,
    unsafe_reason,
)

NOW = datetime(2026, 3, 9, tzinfo=UTC)


@given(
    prefix=st.sampled_from(["", "photos/", "照片/{caller}/", "{app}/{yyyy}/{mm}/{dd}/"]),
    name=st.sampled_from(["{filename}", "{uuid}.{ext}", "{stem}-{uuid}", "{caller}/{filename}"]),
    caller=st.text(max_size=140) | st.sampled_from(["ann", "..", ".", "a/b", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"]),
    filename=st.text(max_size=600),
)
def test_key_is_below_its_prefix_or_request_is_rejected(prefix: str, name: str, caller: str, filename: str) -> None:
    naming = KeyNaming(Template.parse(prefix), Template.parse(name))
    try:
        made, key = naming.keys(app_id="a", caller=caller, filename=filename, now=NOW)
    except InvalidRequest:
        assert naming.needs_caller
        return
    assert key is not None
    assert key.startswith(made)
    assert made.count("/") == prefix.count("/")
    assert key.count("/") == prefix.count("/") + name.count("/")
    assert unsafe_reason(key) is None


def test_placeholders_are_replaced() -> None:
    naming = KeyNaming(Template.parse("{app}/{caller}/{yyyy}-{mm}-{dd}/"), Template.parse("{stem}~{filename}~{ext}"))
    prefix, key = naming.keys(app_id="wx1", caller="ann", filename="Cat.JPG", now=NOW)
    assert prefix == "wx1/ann/2026-03-09/"
    assert key == "wx1/ann/2026-03-09/Cat~Cat.JPG~jpg"


@given(
    names=st.tuples(st.text(max_size=40), st.text(max_size=40)),
    ends=st.tuples(*[st.sampled_from([".jpg", ".JPG", ".Jpg", ".K", ".k", "", ".", "\u202e.jpg"])] * 2),
)
@example(names=("\U0001fae8", "\U0001fa77"), ends=(".jpg", ".jpg"))
@example(names=("a", "a"), ends=(".jpg", ".JPG"))
@example(names=("\u202e", "\u2066"), ends=(".jpg", ".jpg"))
@pytest.mark.parametrize("template", ["{filename}", "{stem}.{ext}", "{yyyy}/{stem}.{ext}"])
def test_two_different_names_never_give_one_key(template: str, names: tuple[str, str], ends: tuple[str, str]) -> None:
    first, second = (name + end for name, end in zip(names, ends, strict=True))
    for one, other in ((first, second), (names[0] + ends[0], names[0] + ends[1])):
        if one != other:
            assert key_of(template, one) != key_of(template, other)


def key_of(template: str, filename: str) -> str:
    naming = KeyNaming(Template.parse(""), Template.parse(template))
    _, key = naming.keys(app_id="a", caller=None, filename=filename, now=NOW)
    assert key is not None
    # A file that is uploaded under the name of an object does not replace it either.
    _, again = naming.keys(app_id="a", caller=None, filename=key.rpartition("/")[2], now=NOW)
    assert (again == key) is (key.rpartition("/")[2] == filename)
    return key


def test_extension_is_in_lower_case_whatever_the_version_of_unicode() -> None:
    naming = KeyNaming(Template.parse(""), Template.parse("{ext}"))
    for sent, extension in (("a.JPG", "jpg"), ("a.\ua7dc", "\ua7dc"), ("a.É", "É"), ("a." + "x" * 17, "")):
        assert naming.keys(app_id="a", caller=None, filename=sent, now=NOW) == ("", extension)


def test_unique_key_ends_with_the_name_of_its_file() -> None:
    keys = {unique_key("p/", name) for name in ["a$.jpg", "a$.jpg", None, None]}
    assert len(keys) == 4
    assert sum(re.fullmatch(r"p/[0-9a-f]{32}-a_~[0-9a-f]{8}\.jpg", key) is not None for key in keys) == 2
    assert sum(re.fullmatch(r"p/[0-9a-f]{32}", key) is not None for key in keys) == 2


def test_unique_key_is_not_longer_than_oss_allows() -> None:
    prefix = "p" * (MAX_KEY_BYTES - 32)
    assert len(unique_key(prefix, None)) == MAX_KEY_BYTES
    with pytest.raises(InvalidRequest, match="longer than 1023 bytes"):
        unique_key(prefix, "a.jpg")


def test_empty_extension_removes_its_dot() -> None:
    naming = KeyNaming(Template.parse(""), Template.parse("{uuid}.{ext}"))
    _, key = naming.keys(app_id="a", caller=None, filename=None, now=NOW)
    assert key is not None
    assert len(key) == 32
    assert "." not in key


def test_each_uuid_is_new() -> None:
    naming = KeyNaming(Template.parse(""), Template.parse("{uuid}"))
    keys = {naming.keys(app_id="a", caller=None, filename=None, now=NOW)[1] for _ in range(100)}
    assert len(keys) == 100


@pytest.mark.parametrize("caller", [None, "", "..", "a/b", "a b", "照片", "x" * 129, "a\\b"])
def test_unsafe_caller_is_rejected(caller: str | None) -> None:
    naming = KeyNaming(Template.parse("{caller}/"))
    with pytest.raises(InvalidRequest):
        naming.keys(app_id="a", caller=caller, filename=None, now=NOW)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/a/", "starts with /"),
        ("\\a", "starts with /"),
        ("a/../b/", ".."),
        ("./a", ".."),
        ("a$b/", "$"),
        ("a\nb", "control"),
        ("a\u202eb", "reorders text"),
        ("{who}/", "unknown placeholder {who}"),
        ("{}/", "unknown placeholder"),
        ("a{b", "brace"),
        ("a}b", "brace"),
        ("x" * 1024, "1023"),
        ("照" * 342, "1023"),
    ],
)
def test_invalid_template_is_rejected_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidTemplate, match=re.escape(reason)):
        Template.parse(text)


def test_cached_prefix_belongs_to_its_app_caller_and_day() -> None:
    naming = KeyNaming(Template.parse("{app}/{caller}/{dd}/", PREFIX_PLACEHOLDERS))
    day = datetime(2026, 3, 9, 23, 59, tzinfo=UTC)
    requests = [("a", "anna", 0), ("a", "anna", 1), ("b", "anna", 0), ("a", "bert", 0), ("a", "anna", 0)]
    found = [
        naming.keys(app_id=app, caller=caller, filename=None, now=day + timedelta(days=days))[0]
        for app, caller, days in requests
    ]
    assert found == ["a/anna/09/", "a/anna/10/", "b/anna/09/", "a/bert/09/", "a/anna/09/"]
    with pytest.raises(InvalidRequest, match="caller"):
        naming.keys(app_id="a", caller=None, filename=None, now=day)


@pytest.mark.parametrize("caller", ["auth0|5f7c", "repo:org/name:ref:refs/heads/main", "张三", "a b", "..", "é" * 128])
def test_any_caller_has_a_hash_that_a_key_can_contain(caller: str) -> None:
    naming = KeyNaming(Template.parse("u/{caller_hash}/"))
    prefix, _ = naming.keys(app_id="a", caller=caller, filename=None, now=NOW)
    assert re.fullmatch("u/[0-9a-f]{32}/", prefix)
    other, _ = naming.keys(app_id="a", caller=caller + "x", filename=None, now=NOW)
    assert other != prefix
    assert is_key_of_caller(naming, f"{prefix}a.jpg", app_id="a", caller=caller)
    assert not is_key_of_caller(naming, f"{other}a.jpg", app_id="a", caller=caller)
    assert is_key_of_app(naming, f"{prefix}a.jpg", app_id="a")


def test_a_hash_needs_a_caller() -> None:
    with pytest.raises(InvalidRequest, match="has no id"):
        KeyNaming(Template.parse("u/{caller_hash}/")).keys(app_id="a", caller=None, filename=None, now=NOW)
