"""The parts of an upload: their sizes, their URLs, and how long these are valid."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import CredentialsUnavailable, InvalidRequest, TooLarge, UploadGone
from signer.signing.multipart import (
    MAX_MULTIPART_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    MIN_PART_BYTES,
    PendingUpload,
    check_multipart_size,
    choose_part_size,
    sign_parts,
)
from signer.signing.object_key import KeyNaming, Template
from signer.signing.upload_rules import MultipartRules, UploadRules
from signer.signing.v4 import Credential

NOW = datetime(2026, 3, 9, 23, 59, 59, 900_000, tzinfo=UTC)
SIGNED_AT = NOW.replace(microsecond=0)
STS = Credential("STS.id", "secret", "CAIS+/token==", NOW + timedelta(hours=1))
MULTIPART = MultipartRules(20 * 2**20, 2**20, MAX_MULTIPART_BYTES, timedelta(days=1))
RULES = UploadRules(
    bucket="videos",
    region="cn-hangzhou",
    url="https://videos.example.com",
    naming=KeyNaming(Template.parse("v/")),
    expires=timedelta(minutes=15),
    max_size_bytes=1000,
    min_size_bytes=10,
    multipart=MULTIPART,
)
UPLOAD = PendingUpload(
    app_id="video",
    caller="ann",
    bucket="videos",
    region="cn-hangzhou",
    key="v/旅行 1.mp4",
    content_type="video/mp4",
    upload_id="0004B9+/=",
    mark="0" * 32,
    size_bytes=250_000,
    part_size_bytes=MIN_PART_BYTES,
    expires_at=SIGNED_AT + timedelta(days=1),
)
SIZES = st.integers(1, MAX_MULTIPART_BYTES)


@given(size=SIZES, proposed=st.none() | st.integers(1, 2**53))
def test_the_parts_are_the_file_and_within_the_limits_of_oss(size: int, proposed: int | None) -> None:
    upload = replace(UPLOAD, size_bytes=size, part_size_bytes=choose_part_size(MULTIPART, size, proposed))
    count = upload.part_count
    assert 1 <= count <= MAX_PARTS
    assert MIN_PART_BYTES <= upload.part_size_bytes <= MAX_PART_BYTES
    last = upload.part_bytes(count)
    assert 1 <= last <= upload.part_size_bytes
    assert (count - 1) * upload.part_size_bytes + last == size
    if count > 1:
        assert upload.part_bytes(1) == upload.part_bytes(count - 1) == upload.part_size_bytes


def test_the_size_of_a_part_is_proposed_by_the_client_or_given_by_the_app() -> None:
    assert choose_part_size(MULTIPART, 10**8, None) == 2**20
    assert choose_part_size(MULTIPART, 10**8, 3_000_000) == 3_000_000


@pytest.mark.parametrize(
    ("size", "problem"), [(0, InvalidRequest), (9, InvalidRequest), (MAX_MULTIPART_BYTES + 1, TooLarge)]
)
def test_a_size_that_the_app_does_not_allow_is_refused(size: int, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        check_multipart_size(RULES, MULTIPART, size)


def test_the_url_of_a_part_signs_its_length_and_type() -> None:
    [part] = sign_parts(RULES, UPLOAD, [3], credential=STS, now=NOW)
    query = parse_qs(urlsplit(part.url).query)
    assert part.size_bytes == 250_000 - 2 * MIN_PART_BYTES
    assert part.url.startswith("https://videos.example.com/v/%E6%97%85%E8%A1%8C%201.mp4?partNumber=3&uploadId=0004B9")
    assert query["x-oss-additional-headers"] == ["content-length"]
    assert query["x-oss-expires"] == ["900"]
    assert part.expires_at == SIGNED_AT + timedelta(minutes=15)


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_part_that_the_upload_does_not_have_is_refused(number: int) -> None:
    with pytest.raises(InvalidRequest, match="the parts 1 to 3"):
        sign_parts(RULES, UPLOAD, [1, number], credential=STS, now=NOW)


@pytest.mark.parametrize(
    ("token_seconds", "upload_seconds", "seconds"), [(7200, 86400, 900), (60, 86400, 60), (7200, 30, 30)]
)
def test_a_url_expires_with_form_credential_and_upload(token_seconds: int, upload_seconds: int, seconds: int) -> None:
    credential = replace(STS, expiration=SIGNED_AT + timedelta(seconds=token_seconds))
    upload = replace(UPLOAD, expires_at=SIGNED_AT + timedelta(seconds=upload_seconds))
    [part] = sign_parts(RULES, upload, [1], credential=credential, now=NOW)
    assert part.expires_at == SIGNED_AT + timedelta(seconds=seconds)
    assert parse_qs(urlsplit(part.url).query)["x-oss-expires"] == [str(seconds)]


def test_nothing_is_signed_after_the_end_of_upload_or_credential() -> None:
    with pytest.raises(UploadGone):
        sign_parts(RULES, replace(UPLOAD, expires_at=SIGNED_AT), [1], credential=STS, now=NOW)
    with pytest.raises(CredentialsUnavailable):
        sign_parts(RULES, UPLOAD, [1], credential=replace(STS, expiration=NOW), now=NOW)


def test_a_repr_has_no_url() -> None:
    [part] = sign_parts(RULES, UPLOAD, [1], credential=STS, now=NOW)
    assert "x-oss-signature" not in repr(part)
