"""The PostObject policy and form, from plain values."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signer.errors import CredentialsUnavailable, InvalidRequest, Problem, TooLarge, UnsupportedType
from signer.signing import v4
from signer.signing.callback_field import CallbackField
from signer.signing.form import Forms, SignedUpload
from signer.signing.object_key import KeyNaming, Template
from signer.signing.upload_rules import EMPTY_REQUEST, UploadRequest, UploadRules

NOW = datetime(2026, 3, 9, 23, 59, 59, 900_000, tzinfo=UTC)
STS = v4.Credential("STS.id", "secret", "CAIS-token", NOW + timedelta(hours=1))
RULES = UploadRules(
    bucket="photos",
    region="cn-hangzhou",
    url="https://photos.oss-cn-hangzhou.aliyuncs.com",
    naming=KeyNaming(Template.parse("p/")),
    expires=timedelta(minutes=15),
    max_size_bytes=1000,
)


def form(
    upload_request: UploadRequest = UploadRequest(),  # noqa: B008
    *,
    credential: v4.Credential = STS,
    **changes: Any,
) -> SignedUpload:
    rules = dataclasses.replace(RULES, **changes)
    return Forms("a", rules).full_form(upload_request, caller=None, credential=credential, now=NOW)


def documented(upload_request: UploadRequest = UploadRequest(), **changes: Any) -> SignedUpload:  # noqa: B008
    rules = dataclasses.replace(RULES, **changes)
    return Forms("a", rules).sample_form(upload_request, caller=None, credential=STS, now=NOW)


def conditions(upload: SignedUpload) -> list[Any]:
    """In some order of ours: OSS wants all of them met and asks for no order."""
    found: list[Any] = json.loads(base64.b64decode(upload.fields["policy"]))["conditions"]
    return sorted(found, key=repr)


AUTH = [
    {"bucket": "photos"},
    {"x-oss-signature-version": "OSS4-HMAC-SHA256"},
    {"x-oss-credential": "STS.id/20260309/cn-hangzhou/oss/aliyun_v4_request"},
    {"x-oss-date": "20260309T235959Z"},
    {"x-oss-security-token": "CAIS-token"},
    ["starts-with", "$key", "p/"],
    ["content-length-range", 1, 1000],
]


def test_the_documented_answer_pins_no_more_than_its_client_sends() -> None:
    upload = documented()
    assert conditions(upload) == sorted(AUTH, key=repr)
    assert (upload.key, upload.key_prefix) == (None, "p/")


def test_an_answer_for_all_is_of_its_own_second_and_credential() -> None:
    forms = Forms("a", RULES)

    def ask(credential: v4.Credential = STS, later: timedelta = timedelta()) -> SignedUpload:
        return forms.sample_form(EMPTY_REQUEST, caller=None, credential=credential, now=NOW + later)

    first = ask()
    assert ask(later=timedelta(milliseconds=50)) is first
    for seconds, date in ((1, "20260310T000000Z"), (-1, "20260309T235958Z"), (0, "20260309T235959Z")):
        again = ask(later=timedelta(seconds=seconds))
        assert again.fields["x-oss-date"] == date
        assert again.expires_at == first.expires_at + timedelta(seconds=seconds)
    other = ask(dataclasses.replace(STS, access_key_id="STS.other"))
    assert other.fields["x-oss-credential"].startswith("STS.other/")
    assert forms.sample_form(UploadRequest("a.jpg"), caller=None, credential=STS, now=NOW).fields["policy"]


def test_the_whole_form_pins_every_fixed_field() -> None:
    upload = form(
        UploadRequest(vars={"user": "安"}),
        headers={"x-oss-storage-class": "IA"},
        content_types=("image/png",),
        success_status=204,
        callback=CallbackField(("https://a.example.com",), "bucket=${bucket}"),
        conditions=(["eq", "$x-oss-meta-team", "a"],),
    )
    pinned = {
        "x-oss-object-acl": "default",
        "x-oss-storage-class": "IA",
        "success_action_status": "204",
        "x-oss-content-type": "image/png",
        "Content-Type": "image/png",
        "callback": upload.fields["callback"],
        "x:user": "安",
    }
    expected = [*AUTH, *(["eq", f"${name.lower()}", value] for name, value in pinned.items())]
    assert conditions(upload) == sorted([*expected, ["eq", "$x-oss-meta-team", "a"]], key=repr)
    sent = upload.fields
    assert {name: sent[name] for name in pinned} == pinned
    assert sent["key"] == "p/${filename}"
    assert sent["x-oss-meta-team"] == "a"
    assert json.loads(base64.b64decode(sent["callback"])) == {
        "callbackUrl": "https://a.example.com",
        "callbackBody": "bucket=${bucket}",
        "callbackBodyType": "application/x-www-form-urlencoded",
        "callbackSNI": True,
    }


def test_every_field_that_is_sent_is_named_by_a_condition() -> None:
    upload = form(UploadRequest(content_type="image/png"), headers={"x-oss-object-acl": "private"})
    named = {
        name.lstrip("$").lower()
        for condition in conditions(upload)
        for name in (condition if isinstance(condition, dict) else [condition[1]])
        if isinstance(name, str)
    }
    assert {name.lower() for name in upload.fields} - {"policy", "x-oss-signature"} <= named


def test_the_signature_is_over_the_policy_as_sent() -> None:
    upload = form()
    key = v4.signing_key("secret", "20260309", "cn-hangzhou")
    expected = hmac.digest(key, upload.fields["policy"].encode(), "sha256")
    assert upload.fields["x-oss-signature"] == expected.hex()


def test_without_sts_there_is_no_token_field_or_condition() -> None:
    upload = form(credential=v4.Credential("LTAI", "secret"))
    assert "x-oss-security-token" not in upload.fields
    assert not any("x-oss-security-token" in condition for condition in conditions(upload))


@pytest.mark.parametrize(
    ("ends_in", "expected"),
    [
        (timedelta(hours=1), "2026-03-10T00:14:59.000Z"),
        (timedelta(seconds=100.05), "2026-03-10T00:01:39.000Z"),
    ],
)
def test_the_expiration_is_never_beyond_the_credentials_own(ends_in: timedelta, expected: str) -> None:
    credential = dataclasses.replace(STS, expiration=NOW + ends_in)
    upload = form(credential=credential)
    policy = json.loads(base64.b64decode(upload.fields["policy"]))
    assert policy["expiration"] == expected
    assert credential.expiration is not None
    assert upload.expires_at <= credential.expiration
    assert upload.expires_at.strftime("%Y-%m-%dT%H:%M:%S.000Z") == expected


def test_nothing_is_signed_with_an_ended_credential() -> None:
    with pytest.raises(CredentialsUnavailable):
        form(credential=dataclasses.replace(STS, expiration=NOW))


@pytest.mark.parametrize(
    ("allowed", "upload_request", "chosen"),
    [
        ((), UploadRequest(), None),
        ((), UploadRequest(content_type="text/html"), "text/html"),
        (("image/png",), UploadRequest(), "image/png"),
        (("image/png", "image/jpeg"), UploadRequest(filename="a.JPG"), "image/jpeg"),
        (("image/*",), UploadRequest(content_type="image/webp"), "image/webp"),
        (("IMAGE/PNG",), UploadRequest(content_type="image/png; q=1"), "image/png; q=1"),
        (("image/png", "image/jpeg"), UploadRequest(), InvalidRequest),
        (("image/*",), UploadRequest(), InvalidRequest),
        (("image/*",), UploadRequest(content_type="imagex/png"), UnsupportedType),
        (("image/png",), UploadRequest(content_type="text/html"), UnsupportedType),
        (("image/png",), UploadRequest(filename="a.html"), UnsupportedType),
        ((), UploadRequest(content_type="text"), InvalidRequest),
        ((), UploadRequest(content_type="text/html\r\nx: y"), InvalidRequest),
        ((), UploadRequest(content_type="text/$x"), InvalidRequest),
        ((), UploadRequest(content_type="text/" + "x" * 300), InvalidRequest),
    ],
)
def test_the_content_type_is_chosen(
    allowed: tuple[str, ...], upload_request: UploadRequest, chosen: str | type[Problem] | None
) -> None:
    if isinstance(chosen, type):
        with pytest.raises(chosen):
            form(upload_request, content_types=allowed)
        return
    assert form(upload_request, content_types=allowed).fields.get("x-oss-content-type") == chosen


@pytest.mark.parametrize(
    ("allowed", "upload_request", "condition"),
    [
        (("image/png", "image/jpeg"), UploadRequest(), ["in", "$x-oss-content-type", ["image/png", "image/jpeg"]]),
        (("image/*",), UploadRequest(), ["starts-with", "$x-oss-content-type", "image/"]),
        (("image/*", "a/b"), UploadRequest(content_type="a/b"), ["eq", "$x-oss-content-type", "a/b"]),
    ],
)
def test_the_documented_answer_limits_the_stored_type(
    allowed: tuple[str, ...], upload_request: UploadRequest, condition: list[Any]
) -> None:
    found = conditions(documented(upload_request, content_types=allowed))
    assert found == sorted([*AUTH, condition], key=repr)


def test_types_that_no_one_condition_can_say_want_to_be_named() -> None:
    with pytest.raises(InvalidRequest, match="content_type"):
        documented(content_types=("image/*", "a/b"))


@pytest.mark.parametrize(("size", "refusal"), [(1001, TooLarge), (0, InvalidRequest)])
def test_a_declared_size_is_checked_before_anyone_uploads(size: int, refusal: type[Problem]) -> None:
    for sign in (form, documented):
        assert sign(UploadRequest(size_bytes=1000))
        with pytest.raises(refusal):
            sign(UploadRequest(size_bytes=size))


@pytest.mark.parametrize(
    "variables",
    [{"A": "b"}, {"": "b"}, {"a": "$x"}, {"a": "\n"}, {"a": "x" * 1025}, {f"v{n}": "" for n in range(21)}],
)
def test_bad_variables_are_refused(variables: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        form(UploadRequest(vars=variables), callback=CallbackField(("https://a.example.com",), "b"))


def test_variables_without_a_callback_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="callback"):
        form(UploadRequest(vars={"a": "b"}))


def test_an_exact_key_is_pinned_and_told() -> None:
    naming = KeyNaming(Template.parse("照片/"), Template.parse("{filename}"))
    upload = form(UploadRequest(filename="猫.jpg"), naming=naming)
    assert ["eq", "$key", "照片/猫.jpg"] in conditions(upload)
    assert (upload.key, upload.fields["key"]) == ("照片/猫.jpg", "照片/猫.jpg")


def test_no_secret_in_a_repr() -> None:
    upload = form()
    for shown in (repr(STS), repr(upload), str(upload.policy())):
        assert "CAIS-token" not in shown
        assert "'secret'" not in shown
