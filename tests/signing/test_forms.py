"""Full forms and sample forms: their fields, and the conditions of their policies."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from signer.errors import CredentialsUnavailable, InvalidRequest, Problem, TooLarge, UnsupportedType
from signer.signing import v4
from signer.signing.callback_field import CallbackField
from signer.signing.form import Forms, SignedUpload
from signer.signing.object_key import KeyNaming, Template
from signer.signing.upload_rules import EMPTY_REQUEST, UploadRequest
from tests.signing.upload_rules import NOW, RULES

STS = v4.Credential("STS.id", "secret", "CAIS-token", NOW + timedelta(hours=1))


def form(
    upload_request: UploadRequest = UploadRequest(),  # noqa: B008
    *,
    credential: v4.Credential = STS,
    **changes: Any,
) -> SignedUpload:
    rules = dataclasses.replace(RULES, **changes)
    return Forms("a", rules).full_form(upload_request, caller=None, credential=credential, now=NOW)


def sample_form(upload_request: UploadRequest = UploadRequest(), **changes: Any) -> SignedUpload:  # noqa: B008
    rules = dataclasses.replace(RULES, **changes)
    return Forms("a", rules).sample_form(upload_request, caller=None, credential=STS, now=NOW)


def conditions(upload: SignedUpload) -> list[Any]:
    """The conditions of the policy, sorted: OSS requires all of them in any order."""
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


def test_sample_form_restricts_only_fields_that_its_client_sends() -> None:
    upload = sample_form()
    assert conditions(upload) == sorted(AUTH, key=repr)
    assert (upload.key, upload.key_prefix) == (None, "p/")


def test_sample_form_is_shared_within_one_second_and_credential() -> None:
    forms = Forms("a", RULES)

    def sign(credential: v4.Credential = STS, later: timedelta = timedelta()) -> SignedUpload:
        return forms.sample_form(EMPTY_REQUEST, caller=None, credential=credential, now=NOW + later)

    first = sign()
    assert sign(later=timedelta(milliseconds=50)) is first
    for seconds, date in ((1, "20260310T000000Z"), (-1, "20260309T235958Z"), (0, "20260309T235959Z")):
        again = sign(later=timedelta(seconds=seconds))
        assert again.fields["x-oss-date"] == date
        assert again.expires_at == first.expires_at + timedelta(seconds=seconds)
    other = sign(dataclasses.replace(STS, access_key_id="STS.other"))
    assert other.fields["x-oss-credential"].startswith("STS.other/")
    assert forms.sample_form(UploadRequest("a.jpg"), caller=None, credential=STS, now=NOW).fields["policy"]


def test_full_form_has_a_condition_for_each_fixed_field() -> None:
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
    assert sent["key"] == upload.key
    assert sent["x-oss-meta-team"] == "a"
    assert json.loads(base64.b64decode(sent["callback"])) == {
        "callbackUrl": "https://a.example.com",
        "callbackBody": "bucket=${bucket}",
        "callbackBodyType": "application/x-www-form-urlencoded",
        "callbackSNI": True,
    }


@pytest.mark.parametrize(
    ("condition", "sent"),
    [
        (["eq", "$X-Oss-Storage-Class", "IA"], {"X-Oss-Storage-Class": "IA"}),
        (["in", "$x-oss-storage-class", ["IA", "Archive"]], {}),
    ],
)
def test_condition_of_the_yaml_replaces_a_default(condition: list[Any], sent: dict[str, str]) -> None:
    upload = form(conditions=(condition,))
    named = [each for each in conditions(upload) if isinstance(each, list) and "storage" in str(each[1]).lower()]
    assert named == [condition]
    assert {name: value for name, value in upload.fields.items() if "storage" in name.lower()} == sent
    assert upload.fields["x-oss-object-acl"] == "default"


def test_each_field_of_a_full_form_has_a_condition() -> None:
    upload = form(UploadRequest(content_type="image/png"), headers={"x-oss-object-acl": "private"})
    named = {
        name.lstrip("$").lower()
        for condition in conditions(upload)
        for name in (condition if isinstance(condition, dict) else [condition[1]])
        if isinstance(name, str)
    }
    assert {name.lower() for name in upload.fields} - {"policy", "x-oss-signature"} <= named


def test_signature_covers_the_policy_as_sent() -> None:
    upload = form()
    key = v4.signing_key("secret", "20260309", "cn-hangzhou")
    expected = hmac.digest(key, upload.fields["policy"].encode(), "sha256")
    assert upload.fields["x-oss-signature"] == expected.hex()


def test_access_key_form_has_no_token() -> None:
    upload = form(credential=v4.Credential("LTAI", "secret"))
    assert "x-oss-security-token" not in upload.fields
    assert not any("x-oss-security-token" in condition for condition in conditions(upload))


@pytest.mark.parametrize(
    ("expires_in", "expected"),
    [
        (timedelta(hours=1), "2026-03-10T00:14:59.000Z"),
        (timedelta(seconds=100.05), "2026-03-10T00:01:39.000Z"),
    ],
)
def test_form_expires_no_later_than_its_credential(expires_in: timedelta, expected: str) -> None:
    credential = dataclasses.replace(STS, expiration=NOW + expires_in)
    upload = form(credential=credential)
    policy = json.loads(base64.b64decode(upload.fields["policy"]))
    assert policy["expiration"] == expected
    assert credential.expiration is not None
    assert upload.expires_at <= credential.expiration
    assert upload.expires_at.strftime("%Y-%m-%dT%H:%M:%S.000Z") == expected


def test_expired_credential_signs_no_form() -> None:
    with pytest.raises(CredentialsUnavailable):
        form(credential=dataclasses.replace(STS, expiration=NOW))


@pytest.mark.parametrize(
    ("allowed", "upload_request", "chosen"),
    [
        ((), UploadRequest(), None),
        ((), UploadRequest(content_type="text/html"), "text/html"),
        (("image/png",), UploadRequest(), "image/png"),
        (("image/png", "image/jpeg"), UploadRequest(filename="a.JPG"), "image/jpeg"),
        (("image/png",), UploadRequest(content_type="IMAGE/PNG; q=1"), "IMAGE/PNG; q=1"),
        (("image/png", "image/jpeg"), UploadRequest(), InvalidRequest),
        (("image/png",), UploadRequest(content_type="imagex/png"), UnsupportedType),
        (("image/png",), UploadRequest(content_type="text/html"), UnsupportedType),
        (("image/png",), UploadRequest(filename="a.html"), UnsupportedType),
        ((), UploadRequest(content_type="text"), InvalidRequest),
        ((), UploadRequest(content_type="text/html\r\nx: y"), InvalidRequest),
        ((), UploadRequest(content_type="text/$x"), InvalidRequest),
        ((), UploadRequest(content_type="text/" + "x" * 300), InvalidRequest),
    ],
)
def test_content_type_is_chosen(
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
        (("image/png", "a/b"), UploadRequest(content_type="a/b"), ["eq", "$x-oss-content-type", "a/b"]),
    ],
)
def test_sample_form_restricts_the_stored_type(
    allowed: tuple[str, ...], upload_request: UploadRequest, condition: list[Any]
) -> None:
    found = conditions(sample_form(upload_request, content_types=allowed))
    assert found == sorted([*AUTH, condition], key=repr)


@pytest.mark.parametrize(("size", "problem"), [(1001, TooLarge), (0, InvalidRequest)])
def test_stated_size_is_checked(size: int, problem: type[Problem]) -> None:
    for sign in (form, sample_form):
        assert sign(UploadRequest(size_bytes=1000))
        with pytest.raises(problem):
            sign(UploadRequest(size_bytes=size))


@pytest.mark.parametrize(
    "variables",
    [{"A": "b"}, {"": "b"}, {"a": "$x"}, {"a": "\n"}, {"a": "x" * 1025}, {f"v{n}": "" for n in range(21)}],
)
def test_invalid_variables_are_rejected(variables: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        form(UploadRequest(vars=variables), callback=CallbackField(("https://a.example.com",), "b"))


def test_variables_without_a_callback_are_rejected() -> None:
    with pytest.raises(InvalidRequest, match="callback"):
        form(UploadRequest(vars={"a": "b"}))


def test_exact_key_is_returned_and_has_a_condition() -> None:
    naming = KeyNaming(Template.parse("照片/"), Template.parse("{filename}"))
    upload = form(UploadRequest(filename="猫.jpg"), naming=naming)
    assert ["eq", "$key", "照片/猫.jpg"] in conditions(upload)
    assert (upload.key, upload.fields["key"]) == ("照片/猫.jpg", "照片/猫.jpg")


def test_each_form_has_a_key_of_its_own_where_the_client_names_the_object() -> None:
    uploads = [form(UploadRequest(filename="照片.jpg")) for _ in range(2)] + [form()]
    keys = [upload.fields["key"] for upload in uploads]
    assert len(set(keys)) == 3
    for upload, key in zip(uploads, keys, strict=True):
        assert (upload.key, upload.key_prefix, upload.is_exact_key) == (key, "p/", False)
        assert ["starts-with", "$key", "p/"] in conditions(upload)
    assert [key.removeprefix("p/")[32:] for key in keys] == ["-照片.jpg", "-照片.jpg", ""]


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [("a.jpg", "image/jpeg"), ("a.html", None), ("a.svg", None), ("a", None), (None, None)],
)
def test_a_reusable_form_has_the_type_of_the_name_unless_it_can_run_scripts(
    filename: str | None, content_type: str | None
) -> None:
    upload = form(UploadRequest(filename=filename, reuse=True))
    assert upload.fields.get("x-oss-content-type") == content_type
    assert "x-oss-content-type" not in form(UploadRequest(filename=filename)).fields


def test_reusable_form_leaves_the_name_to_the_client() -> None:
    upload = form(UploadRequest(filename="a.jpg", reuse=True))
    assert (upload.key, upload.fields["key"]) == (None, "p/${filename}")
    exact = form(UploadRequest(reuse=True), naming=KeyNaming(Template.parse("p/"), Template.parse("{uuid}")))
    assert ["eq", "$key", exact.key] in conditions(exact)


def test_repr_and_policy_have_no_secret() -> None:
    upload = form()
    for shown in (repr(STS), repr(upload), str(upload.policy_document())):
        assert "CAIS-token" not in shown
        assert "'secret'" not in shown
