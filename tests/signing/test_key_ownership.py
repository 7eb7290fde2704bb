"""Which keys can be ones of an app or of a caller, compared with the keys that its forms allow."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.errors import InvalidRequest
from signer.signing.key_ownership import is_key_of_app, is_key_of_caller
from signer.signing.object_key import (
    PREFIX_PLACEHOLDERS,
    InvalidTemplate,
    KeyNaming,
    Template,
    placeholder_in_segment,
    unique_key,
)

APP = "wx1234567890abcdef"


def naming(prefix: str, key: str | None = None) -> KeyNaming:
    return KeyNaming(Template.parse(prefix, PREFIX_PLACEHOLDERS), None if key is None else Template.parse(key))


@given(
    prefix=st.sampled_from(["", "photos/", "p/{caller}/", "{app}/{yyyy}/{mm}/{dd}/", "照片/{caller}/{yyyy}-{mm}/"]),
    key=st.sampled_from(
        [None, "{uuid}.{ext}", "{caller}/{stem}-{uuid}.{ext}", "{filename}", "fixed.bin", "{yyyy}.{ext}"]
    ),
    caller=st.from_regex(r"[A-Za-z0-9_@=+:-][A-Za-z0-9._@=+:-]{0,40}", fullmatch=True),
    filename=st.text(min_size=1, max_size=60),
    now=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),
)
def test_each_key_that_a_form_allows_is_one_of_the_app(
    prefix: str, key: str | None, caller: str, filename: str, now: datetime
) -> None:
    made = naming(prefix, key)
    below, exact = made.keys(app_id=APP, caller=caller, filename=filename, now=now.replace(tzinfo=UTC))
    assert is_key_of_app(made, exact if exact is not None else below + "any name/at all.jpg", app_id=APP)


NAMES = st.text("a-", min_size=5, max_size=8)
SEGMENTS = st.sampled_from(
    [
        "{app}",
        "{yyyy}-{mm}",
        "{filename}",
        "{stem}.{ext}",
        "{caller}",
        "{caller}",
        "{caller}-{filename}",
        "{caller}.{ext}",
        "x{caller}",
    ]
)


@given(
    segments=st.lists(SEGMENTS, min_size=1, max_size=3),
    in_prefix=st.sampled_from([0, 0, 1]),
    client_names=st.sampled_from([False, False, False, True]),
    text=NAMES,
    cuts=st.lists(st.integers(1, 4), min_size=2, max_size=2, unique=True),
)
@settings(max_examples=2000, derandomize=True, deadline=None)
def test_two_callers_never_get_one_key(
    segments: list[str], in_prefix: int, client_names: bool, text: str, cuts: list[int]
) -> None:
    """The callers and their files are parts of one text, so that they often differ only in where one ends."""
    prefix = "".join(f"{segment}/" for segment in segments[:in_prefix])
    key = None if client_names else "/".join(segments[in_prefix:])
    if "{caller}" not in prefix + (key or "") or placeholder_in_segment(prefix, key or "") is not None:
        return
    try:
        made = naming(prefix, key or None)
        (below, first), (other_below, second) = (
            made.keys(app_id=APP, caller=text[:cut], filename=text[cut + 1 :], now=datetime(2026, 3, 9, tzinfo=UTC))
            for cut in cuts
        )
    except (InvalidTemplate, InvalidRequest):
        return
    if first is None or second is None:
        assert not below.startswith(other_below)
        assert not other_below.startswith(below)
    else:
        assert first != second


@pytest.mark.parametrize(
    ("prefix", "key", "placeholder"),
    [
        ("", "{caller}-{filename}", "{caller}"),
        ("", "{caller}.{ext}", "{caller}"),
        ("p", "{caller}/{uuid}", "{caller}"),
        ("p/{caller}", "", "{caller}"),
        ("{app}-{caller}/", "", "{caller}"),
        ("{app}.x/", "{uuid}", "{app}"),
        ("p/{caller}/", "", None),
        ("{app}/{caller}/", "{filename}", None),
        ("{yyyy}/", "{filename}/{caller}", None),
        ("p-", "", None),
    ],
)
def test_ids_that_are_a_part_of_a_segment_are_found(prefix: str, key: str, placeholder: str | None) -> None:
    assert placeholder_in_segment(prefix, key) == placeholder


@pytest.mark.parametrize(
    ("prefix", "key", "uploaded"),
    [
        ("photos/", None, "photo/a.jpg"),
        ("photos/", None, "photos/"),
        ("photos/", None, "other/photos/a.jpg"),
        ("p.hotos/", None, "pxhotos/a.jpg"),
        ("p/{caller}/", None, "p//a.jpg"),
        ("p/{caller}/", None, "p/../a.jpg"),
        ("p/{caller}/", None, "p/a b/a.jpg"),
        ("p/{caller}/", None, "p/a.jpg"),
        ("{app}/", None, "wx0000000000000000/a.jpg"),
        ("{yyyy}/{mm}/", None, "2026/13/a.jpg"),
        ("{yyyy}/{mm}/", None, "26/01/a.jpg"),
        ("", "{uuid}.{ext}", "a.jpg"),
        ("", "{uuid}.{ext}", "0123456789abcdef0123456789abcdef."),
        ("", "{filename}", "a/b.jpg"),
        ("", None, "x" * 1024),
        ("a/", "fixed", "a/fixed\n"),
    ],
)
def test_other_keys_are_not_ones_of_the_app(prefix: str, key: str | None, uploaded: str) -> None:
    assert not is_key_of_app(naming(prefix, key), uploaded, app_id=APP)


@pytest.mark.parametrize(
    ("key", "is_own"),
    [
        ("wx1/anna/2026-03/a.jpg", True),
        ("wx1/anna/2025-12/deep/er/照片.jpg", True),
        ("wx1/bert/2026-03/a.jpg", False),
        ("wx1/anna.x/2026-03/a.jpg", False),
        ("wx2/anna/2026-03/a.jpg", False),
        ("wx1/anna/2026-03/", False),
        ("wx1/anna/a.jpg", False),
        ("wx1/anna/2026-03/../../bert/2026-03/a.jpg", False),
        ("wx1/anna/2026-03/..", False),
        ("wx1/anna/2026-03/./a.jpg", False),
        ("wx1/anna/2026-03/..a/.b", True),
        ("wx1/anna/2026-03/a$\u202e\n\\..\\b.jpg", True),
        ("wx1/anna/2026-03/\U0001f468\u200d\U0001f467\U0001fae8\U000323af\u0378", True),
        ("wx1/anna/2026-03/\ud800", False),
        ("x/wx1/anna/2026-03/a.jpg", False),
        ("wx1/anna/2026-03/" + "a" * 1024, False),
    ],
)
def test_caller_owns_keys_below_its_prefix(key: str, is_own: bool) -> None:
    template = naming("{app}/{caller}/{yyyy}-{mm}/", "{uuid}")
    assert is_key_of_caller(template, key, app_id="wx1", caller="anna") is is_own


@given(st.text(min_size=1, max_size=250), st.sampled_from([None, "{filename}", "{stem}.{ext}", "{uuid}.{ext}"]))
def test_what_a_caller_can_upload_it_can_download(filename: str, key: str | None) -> None:
    made = naming("{caller}/{yyyy}/", key)
    below, exact = made.keys(app_id=APP, caller="anna", filename=filename, now=datetime(2026, 3, 9, tzinfo=UTC))
    uploaded = [exact] if exact is not None else [unique_key(below, filename), below + filename]
    for each in uploaded:
        has_dot_segment = not {".", ".."}.isdisjoint(each.split("/"))
        assert is_key_of_caller(made, each, app_id=APP, caller="anna") is not has_dot_segment


@pytest.mark.parametrize("caller", [None, "", "..", "a/b", "[a-z]+"])
def test_unsafe_caller_owns_no_key(caller: str | None) -> None:
    with pytest.raises(InvalidRequest):
        is_key_of_caller(naming("{caller}/"), "anna/a.jpg", app_id="wx1", caller=caller)


def test_prefix_without_a_caller_is_the_same_for_all() -> None:
    assert is_key_of_caller(naming("p.q/"), "p.q/a.jpg", app_id="wx1", caller=None)
    assert not is_key_of_caller(naming("p.q/"), "pxq/a.jpg", app_id="wx1", caller=None)
