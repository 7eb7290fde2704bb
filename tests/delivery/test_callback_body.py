"""Which members of a callback body carry bucket and key, and which bodies and templates are rejected."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.delivery.callback_body import CallbackBodyFormat, InvalidBodyTemplate, add_request_id
from signer.errors import InvalidRequest, Problem, UnsupportedType
from signer.signing.callback_field import FORM_BODY, JSON_BODY

DOCUMENTED = (
    "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}"
    "&imageInfo.height=${imageInfo.height}&imageInfo.width=${imageInfo.width}&imageInfo.format=${imageInfo.format}"
    "&my_var=${x:my_var}"
)
READABLE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(bucket=READABLE, key=READABLE, variable=READABLE)
def test_documented_form_is_parsed(bucket: str, key: str, variable: str) -> None:
    body_format = CallbackBodyFormat.from_template(DOCUMENTED)
    upload = body_format.parse(urlencode({"bucket": bucket, "object": key, "my_var": variable}).encode(), FORM_BODY)
    assert (upload.bucket, upload.key, upload.members["my_var"]) == (bucket, key, variable)


@given(bucket=READABLE, key=READABLE, size=st.integers())
def test_json_is_parsed(bucket: str, key: str, size: int) -> None:
    body_format = CallbackBodyFormat.from_template(
        '{"b": ${bucket}, "k": ${object}, "size": ${size}, "v": {"x": ${x:a}}, "c": 1}', JSON_BODY
    )
    upload = body_format.parse(
        json.dumps({"b": bucket, "k": key, "size": size}).encode(), "application/json; charset=utf-8"
    )
    assert (upload.bucket, upload.key, upload.members["size"]) == (bucket, key, size)


def test_app_chooses_the_member_names() -> None:
    body_format = CallbackBodyFormat.from_template("where=${bucket}&bucket=decoy&object=decoy&what=${object}")
    upload = body_format.parse(b"where=photos&bucket=x&object=y&what=a.jpg", FORM_BODY)
    assert (upload.bucket, upload.key) == ("photos", "a.jpg")


@pytest.mark.parametrize(
    ("template", "body_type", "words"),
    [
        ("object=${object}", FORM_BODY, "${bucket}"),
        ("bucket=${bucket}", FORM_BODY, "${object}"),
        ("bucket=${bucket}&object=a/${object}", FORM_BODY, "just ${object}"),
        ("bucket=photos&object=${object}", FORM_BODY, "${bucket}"),
        ("bucket=${bucket}&object=${object}&a=${x:Upper}", FORM_BODY, "lower-case"),
        ('{"bucket": "${bucket}", "object": "${object}"}', JSON_BODY, "without"),
        ('{"bucket": ${bucket}}', JSON_BODY, "${object}"),
        ("[${bucket}, ${object}]", JSON_BODY, "object"),
        ('{"in": {"bucket": ${bucket}, "object": ${object}}}', JSON_BODY, "${bucket}"),
        ("bucket=${bucket}&object=${object}", JSON_BODY, "not valid JSON"),
    ],
)
def test_template_without_bucket_or_object_is_rejected(template: str, body_type: str, words: str) -> None:
    with pytest.raises(InvalidBodyTemplate) as raised:
        CallbackBodyFormat.from_template(template, body_type)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        pytest.param(b"bucket=b&object=o", "text/plain", UnsupportedType, id="another type"),
        pytest.param(b"bucket=b&object=o", "", UnsupportedType, id="no type"),
        pytest.param(b"bucket=b", FORM_BODY, InvalidRequest, id="no object"),
        pytest.param(b"bucket=b&object=", FORM_BODY, InvalidRequest, id="empty object"),
        pytest.param(b"bucket=b&object=o&object=p", FORM_BODY, InvalidRequest, id="two objects"),
        pytest.param(b"bucket=b&object=%ff", FORM_BODY, InvalidRequest, id="no UTF-8 in it"),
        pytest.param(b"bucket=b&object=\xff", FORM_BODY, InvalidRequest, id="no UTF-8"),
        pytest.param(b"a=1&" * 500 + b"bucket=b&object=o", FORM_BODY, InvalidRequest, id="too many members"),
        pytest.param(b"{", JSON_BODY, InvalidRequest, id="no JSON"),
        pytest.param(b"\xef\xbb\xbf{}", JSON_BODY, InvalidRequest, id="a BOM"),
        pytest.param(b"[" * 60_000, JSON_BODY, InvalidRequest, id="deep JSON"),
        pytest.param(b'["b", "o"]', JSON_BODY, InvalidRequest, id="a list"),
        pytest.param(b'{"bucket": "b", "object": 1}', JSON_BODY, InvalidRequest, id="a number"),
        pytest.param(b'{"bucket": "b", "object": "o", "object": "p"}', JSON_BODY, InvalidRequest, id="twice"),
        pytest.param(b'{"bucket": "b", "object": "\\ud800"}', JSON_BODY, InvalidRequest, id="half a character"),
        pytest.param(b'{"bucket": "b", "object": "o", "a": NaN}', JSON_BODY, InvalidRequest, id="NaN"),
        pytest.param(
            b'{"bucket": "b", "object": "o", "a": ' + b"9" * 9000 + b"}", JSON_BODY, InvalidRequest, id="huge"
        ),
    ],
)
def test_invalid_body_is_rejected(body: bytes, content_type: str, problem: type[Problem]) -> None:
    with pytest.raises(problem):
        CallbackBodyFormat("bucket", "object").parse(body, content_type)


@given(st.binary(max_size=300), st.sampled_from([FORM_BODY, JSON_BODY]))
def test_any_body_is_parsed_or_rejected(body: bytes, content_type: str) -> None:
    try:
        CallbackBodyFormat("bucket", "object").parse(body, content_type)
    except Problem as problem:
        assert problem.status == 400


@pytest.mark.parametrize(
    ("template", "body_type", "expected"),
    [
        ("a=${bucket}", FORM_BODY, "a=${bucket}&reqId=${reqId}"),
        ("a=${bucket}&id=${reqId}", FORM_BODY, "a=${bucket}&id=${reqId}"),
        ("a=${bucket}&reqId=1", FORM_BODY, "a=${bucket}&reqId=1&_reqId=${reqId}"),
        ('{"a": ${bucket}} ', JSON_BODY, '{"a": ${bucket}, "reqId": ${reqId}}'),
        ('{"a": {"b": ${bucket}}}', JSON_BODY, '{"a": {"b": ${bucket}}, "reqId": ${reqId}}'),
        ('{"reqId": ${bucket}}', JSON_BODY, '{"reqId": ${bucket}, "_reqId": ${reqId}}'),
    ],
)
def test_request_id_is_added(template: str, body_type: str, expected: str) -> None:
    assert add_request_id(template, body_type) == expected
