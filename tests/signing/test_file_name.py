"""File names: any name becomes one safe segment of a key, and different names stay different."""

from __future__ import annotations

import re
import sys
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signer.signing.file_name import MAX_FILENAME_BYTES, safe_filename
from signer.signing.object_key import unsafe_reason

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467.jpg"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.pdf"


@pytest.mark.parametrize(
    "name",
    [
        "photo.jpg",
        "照片 1.jpg",
        "README",
        "a.tar.gz",
        "a .jpg",
        FAMILY,
        PERSIAN,
        "\U0001fae8.jpg",
        "\U0001fa77.jpg",
        "\U00030edd\U000323af.jpg",
        "\u0378\ufdd0\U0010ffff.jpg",
        "e\u0301te\u0301.png",
        "\u00e9t\u00e9.png",
        "\ufeffa\u00ad\u200e.jpg",
        "é" * 125 + ".jpeg",
    ],
)
def test_a_safe_name_is_kept(name: str) -> None:
    assert safe_filename(name) == name


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd~"),
        ("C:\\Users\\me\\a.jpg", "a~.jpg"),
        ("a\r\nb.jpg", "ab~.jpg"),
        ("\u202egpj.exe", "gpj~.exe"),
        ("${filename}", "__filename_~"),
        ("a?b*c.jpg", "a_b_c~.jpg"),
        (" a.jpg", "a~.jpg"),
        ("a.jpg. ", "a~.jpg"),
        ("é" * 200 + ".jpeg", "é" * 120 + "~.jpeg"),
        ("x" * 300, "x" * 246 + "~"),
        ("\U0001f600" * 100 + ".png", "\U0001f600" * 60 + "~.png"),
        ("a." + "x" * 300, "a." + "x" * 244 + "~"),
    ],
)
def test_a_changed_name_is_marked_with_a_part_of_its_sha256(sent: str, kept: str) -> None:
    digits = sha256(sent.encode()).hexdigest()[:8]
    assert safe_filename(sent) == kept.replace("~", f"~{digits}")


@pytest.mark.parametrize(
    ("sent", "end"),
    [
        ("", ""),
        ("..", ""),
        ("\u202e", ""),
        ("/", ""),
        (".jpg", r"\.jpg"),
        ("\u202e.jpg", r"\.jpg"),
        ("a/.b c", r"\.b c"),
    ],
)
def test_a_name_of_which_nothing_is_left_becomes_a_unique_one_with_its_extension(sent: str, end: str) -> None:
    names = {safe_filename(sent) for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(f"[0-9a-f]{{32}}~[0-9a-f]{{8}}{end}", name) for name in names)


UNSAFE = frozenset({
    *range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)
})  # fmt: skip
"""Controls, separators, bidi overrides and surrogates, as numbers: the Unicode version of Python does not matter."""
CHANGED = UNSAFE | frozenset(map(ord, '$<>:"|?*{}/\\'))
ALL_OF_UNICODE = range(sys.maxunicode + 1)


def test_every_character_of_unicode_gives_another_name() -> None:
    names = [f"{chr(code)}.jpg" for code in ALL_OF_UNICODE]
    safe = list(map(safe_filename, names))
    assert len(set(safe)) == len(names)
    # A space or a dot is removed at the beginning of a name.
    assert {code for code in ALL_OF_UNICODE if names[code] != safe[code]} == {*CHANGED, ord(" "), ord(".")}


def test_keys_have_the_alphabet_of_names() -> None:
    rejected = {code for code in ALL_OF_UNICODE if unsafe_reason(f"a{chr(code)}b")}
    assert rejected == {*UNSAFE, ord("$")}


PIECES = st.sampled_from(
    ["a", "b", ".", ".jpg", ".JPG", " ", "/", "\\", "$", "_", "~", "\u200d", "\u202e", "\x00", "é", "e\u0301", "\ud800"]
)
MARKS = st.from_regex(r"~[0-9a-f]{8}(\.\w{0,3})?", fullmatch=True)
NAMES = st.one_of(st.text(max_size=600), st.lists(st.one_of(PIECES, PIECES, st.text(max_size=200), MARKS)).map("".join))


@given(NAMES)
def test_any_name_becomes_safe(sent: str) -> None:
    safe = safe_filename(sent)
    assert 1 <= len(safe.encode()) <= MAX_FILENAME_BYTES
    assert CHANGED.isdisjoint(map(ord, safe))
    assert unsafe_reason(safe) is None


@given(NAMES, NAMES)
@example("x" * 245 + "." + "y" * 20, "x" * 245 + ".y~00000000")
def test_two_different_names_never_give_one_name(sent: str, other: str) -> None:
    safe = safe_filename(sent)
    # Uploading a file under the name that another one got must not replace that one.
    for different in {other, safe, safe.lower(), sent + "\u202e", f"a/{sent}", sent.replace("$", "_")} - {sent}:
        assert safe_filename(different) != safe
