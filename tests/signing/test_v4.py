"""The parts of a V4 signature, computed again from the documented steps; test_oracle.py compares with Alibaba's SDK."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from signer.signing import v4


def test_date_and_scope_formats() -> None:
    moment = datetime(2024, 7, 13, 13, 34, 14, tzinfo=UTC)
    assert v4.format_date(moment) == "20240713T133414Z"
    parameters = v4.signature_parameters(v4.Credential("LTAI", "secret"), "20240713T133414Z", "us-west-1")
    assert parameters["x-oss-credential"] == "LTAI/20240713/us-west-1/oss/aliyun_v4_request"


def test_signing_key_follows_the_documented_chain() -> None:
    key = b"aliyun_v4secret"
    for part in (b"20240713", b"us-west-1", b"oss", b"aliyun_v4_request"):
        key = hmac.digest(key, part, "sha256")
    assert v4.signing_key("secret", "20240713", "us-west-1") == key


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=300), st.lists(st.binary(max_size=300), min_size=1))
def test_common_head_signer_computes_hmac_sha256(key: bytes, head: bytes, rests: list[bytes]) -> None:
    signer = v4.CommonHeadSigner(key, head)
    for rest in rests:
        assert signer.sign(rest) == hmac.new(key, head + rest, "sha256").hexdigest()


def test_credential_repr_has_no_secret() -> None:
    assert repr(v4.Credential("LTAI", "the-secret", "the-token")) == "Credential(access_key_id='LTAI', expiration=None)"
