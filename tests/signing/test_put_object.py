"""Presigned PUTs: how long they are valid. tests/e2e/test_put.py lets the local cloud judge what they allow."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from signer.errors import CredentialsUnavailable
from signer.signing.put_object import SignedPut, sign_put
from signer.signing.upload_rules import UploadRequest
from signer.signing.v4 import Credential
from tests.signing.upload_rules import NOW, RULES

REQUEST = UploadRequest(filename="a.jpg", content_type="image/jpeg", size_bytes=3, is_put=True)


def put(expires_in: timedelta | None) -> SignedPut:
    credential = Credential("STS.id", "secret", "CAIS-token", None if expires_in is None else NOW + expires_in)
    return sign_put("a", RULES, REQUEST, caller=None, credential=credential, now=NOW)


@pytest.mark.parametrize(
    ("expires_in", "valid_seconds"),
    [(None, 900), (timedelta(hours=1), 900), (timedelta(minutes=5, seconds=0.05), 300), (timedelta(seconds=1.2), 2)],
)
def test_a_url_expires_with_the_credential_at_the_latest(expires_in: timedelta | None, valid_seconds: int) -> None:
    signed = put(expires_in)
    query = parse_qs(urlsplit(signed.url).query)
    assert (query["x-oss-date"], query["x-oss-expires"]) == (["20260309T235959Z"], [str(valid_seconds)])
    assert signed.expires_at == NOW.replace(microsecond=0) + timedelta(seconds=valid_seconds)
    assert expires_in is None or signed.expires_at <= NOW + expires_in


def test_an_expired_credential_signs_nothing() -> None:
    with pytest.raises(CredentialsUnavailable):
        put(timedelta(0))
