"""Presigned URLs: equal to those of Alibaba's Python SDK."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import alibabacloud_oss_v2 as oss
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.signing import v4
from signer.signing.presigned_url import Presigner
from tests.signing.upload_rules import NOW, RULES

SIGNED_AT = NOW.replace(microsecond=0)
STS = v4.Credential("STS.id", "secret", "CAIS+/token==", NOW + timedelta(hours=1))
ACCESS_KEY = v4.Credential("LTAI", "secret")
AWKWARD = st.sampled_from(list(" +?#%&=;:@!$'()*,~/-._\"<>[]\\^`{|}照片😀é\u0301\x7f"))
KEYS = st.text(AWKWARD | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def sdk_client(credential: v4.Credential, **options: Any) -> oss.Client:
    provider = oss.credentials.StaticCredentialsProvider(
        credential.access_key_id, credential.access_key_secret, credential.security_token
    )
    return oss.Client(oss.Config("cn-hangzhou", credentials_provider=provider, **options))


CLIENT = sdk_client(STS)
CLIENTS = {
    "https://photos.oss-cn-hangzhou.aliyuncs.com": CLIENT,
    "https://images.example.com": sdk_client(STS, endpoint="https://images.example.com", use_cname=True),
    "http://127.0.0.1:9000/photos": sdk_client(STS, endpoint="http://127.0.0.1:9000", use_path_style=True),
}


def parts(url: str) -> tuple[str, list[tuple[str, str]]]:
    """The address of the object, and the parameters in any order."""
    address, _, query = url.partition("?")
    return address, sorted(parse_qsl(query, keep_blank_values=True, strict_parsing=False))


def presign_like(
    sdk_url: str,
    method: str,
    key: str,
    *,
    bucket_url: str = RULES.url,
    credential: v4.Credential = STS,
    headers: Mapping[str, str] = MappingProxyType({}),
    query: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Our URL for the time and validity that the SDK has chosen."""
    chosen = dict(parts(sdk_url)[1])
    presigner = Presigner(
        bucket_url,
        bucket="photos",
        key=key,
        region="cn-hangzhou",
        credential=credential,
        signed_at=datetime.strptime(chosen["x-oss-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
        expires_seconds=int(chosen["x-oss-expires"]),
    )
    return presigner.url(method, headers=headers, query=query)


@given(key=KEYS, address=st.sampled_from(sorted(CLIENTS)))
def test_download_url_equals_that_of_the_sdk(key: str, address: str) -> None:
    request = oss.GetObjectRequest(bucket="photos", key=key)
    expected = CLIENTS[address].presign(request, expires=timedelta(hours=1)).url
    assert expected is not None
    assert parts(presign_like(expected, "GET", key, bucket_url=address)) == parts(expected)


@given(key=KEYS, style=KEYS)
def test_image_processing_is_signed_like_in_the_sdk(key: str, style: str) -> None:
    process = f"image/resize,w_100/watermark,text_{style}"
    request = oss.GetObjectRequest(bucket="photos", key=key, process=process)
    expected = CLIENT.presign(request, expires=timedelta(hours=1)).url
    assert expected is not None
    assert parts(presign_like(expected, "GET", key, query={"x-oss-process": process})) == parts(expected)


@given(key=KEYS, number=st.integers(1, 10_000))
def test_part_upload_is_signed_like_in_the_sdk(key: str, number: int) -> None:
    request = oss.UploadPartRequest(bucket="photos", key=key, part_number=number, upload_id="0004B9+/=")
    expected = CLIENT.presign(request, expires=timedelta(hours=1)).url
    assert expected is not None
    query = {"partNumber": str(number), "uploadId": "0004B9+/="}
    assert parts(presign_like(expected, "PUT", key, query=query)) == parts(expected)


def test_parameter_without_a_value_is_signed_like_in_the_sdk() -> None:
    request = oss.InitiateMultipartUploadRequest(bucket="photos", key="a b.jpg")
    expected = CLIENT.presign(request, expires=timedelta(hours=1)).url
    assert expected is not None
    mine = presign_like(expected, "POST", "a b.jpg", query={"uploads": ""})
    assert parts(mine) == parts(expected)
    assert mine.endswith("x-oss-signature=" + dict(parts(expected)[1])["x-oss-signature"])
    assert "?uploads&" in mine


@pytest.mark.parametrize("credential", [STS, ACCESS_KEY])
def test_upload_headers_are_signed_like_in_the_sdk(credential: v4.Credential) -> None:
    """The SDK signs no additional headers in a URL; test_oracle.py compares those with ali-oss."""
    client = sdk_client(credential)
    request = oss.PutObjectRequest(
        bucket="photos",
        key="照片 1.jpg",
        content_type="image/jpeg",
        forbid_overwrite=True,
        metadata={"team": "a"},
    )
    result = client.presign(request, expires=timedelta(hours=1))
    assert result.url is not None
    headers = {
        "Content-Type": "image/jpeg",
        "x-oss-forbid-overwrite": "true",
        "X-Oss-Meta-Team": "a",
    }
    mine = presign_like(result.url, "PUT", "照片 1.jpg", credential=credential, headers=headers)
    assert parts(mine) == parts(result.url)


@pytest.mark.parametrize("expires_seconds", [0, 7 * 86400 + 1])
def test_validity_beyond_the_limits_of_oss_is_rejected(expires_seconds: int) -> None:
    with pytest.raises(ValueError, match="604800"):
        Presigner(
            RULES.url,
            bucket="photos",
            key="a.jpg",
            region="cn-hangzhou",
            credential=STS,
            signed_at=SIGNED_AT,
            expires_seconds=expires_seconds,
        )
