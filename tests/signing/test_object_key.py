"""Object keys: for any client input, a key is safe, readable and below its prefix, or the request is rejected."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import InvalidRequest
from signer.signing.object_key import (
    MAX_FILENAME_BYTES,
    PREFIX_PLACEHOLDERS,
    InvalidTemplate,
    KeyNaming,
    Template,
    safe_filename,
    unsafe_reason,
)

NOW = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("照片 1.jpg", "照片 1.jpg"),
        ("e\u0301te.png", "éte.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.jpg", "a.jpg"),
        ("a\r\nb.jpg", "ab.jpg"),
        ("\u202egpj.exe", "gpj.exe"),
        ("${filename}", "__filename_"),
        ("..", "file"),
        ("", "file"),
        (".bashrc", "bashrc"),
        ("a?b*c.jpg", "a_b_c.jpg"),
        ("é" * 200 + ".jpeg", "é" * 125 + ".jpeg"),
        ("x" * 300, "x" * 254),
        ("\U0001f600" * 100 + ".png", "\U0001f600" * 62 + ".png"),
    ],
)
def test_file_name_becomes_safe_and_stays_readable(sent: str, kept: str) -> None:
    assert safe_filename(sent) == kept


def test_shortening_keeps_combining_marks_with_their_character() -> None:
    cut = safe_filename("x" * 250 + "q\u0323\u0307\u0308" + ".a")
    assert cut == "x" * 250 + ".a"


@given(st.text(max_size=600))
def test_any_file_name_becomes_safe(sent: str) -> None:
    safe = safe_filename(sent)
    assert 1 <= len(safe.encode()) <= MAX_FILENAME_BYTES
    assert not set(safe) & set('/\\$<>:"|?*{}')
    assert all(unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in safe)
    assert safe not in {".", ".."}
    assert unsafe_reason(safe) is None
    assert safe_filename(safe) == safe


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
        ("a\u202eb", "invisible"),
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
    asked = [("a", "anna", 0), ("a", "anna", 1), ("b", "anna", 0), ("a", "bert", 0), ("a", "anna", 0)]
    found = [
        naming.keys(app_id=app, caller=caller, filename=None, now=day + timedelta(days=days))[0]
        for app, caller, days in asked
    ]
    assert found == ["a/anna/09/", "a/anna/10/", "b/anna/09/", "a/bert/09/", "a/anna/09/"]
    with pytest.raises(InvalidRequest, match="caller"):
        naming.keys(app_id="a", caller=None, filename=None, now=day)
