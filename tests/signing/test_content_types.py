"""Media types by file name; tests/signing/test_forged_forms.py has wildcards and types that run script."""

from __future__ import annotations

import pytest

from signer.signing.content_types import content_type_by_name, expand_wildcards

ON_PHONES = "jpg jpeg png gif webp heic heif avif mp4 m4v mov webm mkv 3gp mp3 m4a aac wav amr ogg txt csv"
OFFICE = "application/vnd.openxmlformats-officedocument."


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.jpg", "image/jpeg"),
        ("a.JPEG", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.heic", "image/heic"),
        ("a.docx", f"{OFFICE}wordprocessingml.document"),
        ("a.xlsx", f"{OFFICE}spreadsheetml.sheet"),
        ("a.pptx", f"{OFFICE}presentationml.presentation"),
        ("a.m4a", "audio/mp4"),
        ("a.mp3", "audio/mpeg"),
        ("a.amr", "audio/amr"),
        ("a.mkv", "video/x-matroska"),
        ("a.mp4", "video/mp4"),
        ("a.apk", "application/vnd.android.package-archive"),
        ("a.mjs", "text/javascript"),
        ("photo.jpg.gz", "application/gzip"),
        ("照片.PNG", "image/png"),
        ("x.jpg/a.png", "image/png"),
        (".png", "image/png"),
        ("a", None),
        ("jpg", None),
        ("a.", None),
        ("a.no-such-type", None),
        ("x.jpg/a", None),
        ("data:image/png,x", None),
    ],
)
def test_the_last_extension_gives_the_type(name: str, content_type: str | None) -> None:
    assert content_type_by_name(name) == content_type


@pytest.mark.parametrize("extension", ON_PHONES.split())
def test_a_wildcard_includes_the_types_of_phones(extension: str) -> None:
    content_type = content_type_by_name(f"a.{extension}")
    assert content_type is not None
    kind = content_type.partition("/")[0]
    assert content_type in expand_wildcards([f"{kind}/*"])
