"""URLs that read objects: equal to those of Alibaba's Python SDK, stable within a window, never beyond the credential."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import alibabacloud_oss_v2 as oss
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import CredentialsUnavailable
from signer.signing import v4
from signer.signing.download_url import (
    DownloadRules,
    DownloadSigner,
    Period,
    content_disposition,
    period_at,
)

NOW = datetime(2026, 3, 9, 23, 59, 59, 900_000, tzinfo=UTC)
SIGNED_AT = NOW.replace(microsecond=0)
STS = v4.Credential("STS.id", "secret", "CAIS+/token==", NOW + timedelta(hours=1))
ACCESS_KEY = v4.Credential("LTAI", "secret")
URL = "https://photos.oss-cn-hangzhou.aliyuncs.com"
RULES = DownloadRules(URL, expires=timedelta(minutes=30), window=timedelta(minutes=10))
AWKWARD = st.sampled_from(list(" +?#%&=;:@!$'()*,~/-._\"<>[]\\^`{|}照片😀é\u0301\x7f"))
KEYS = st.text(AWKWARD | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def sdk_client(credential: v4.Credential, **options: Any) -> oss.Client:
    provider = oss.credentials.StaticCredentialsProvider(
        credential.access_key_id, credential.access_key_secret, credential.security_token
    )
    return oss.Client(oss.Config("cn-hangzhou", credentials_provider=provider, **options))


CLIENTS = {
    URL: {each: sdk_client(each) for each in (STS, ACCESS_KEY)},
    "https://images.example.com": {
        each: sdk_client(each, endpoint="https://images.example.com", use_cname=True) for each in (STS, ACCESS_KEY)
    },
}


def parameters(url: str) -> dict[str, str]:
    return dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))


def download_signer(period: Period, credential: v4.Credential = STS, url: str = URL, **options: Any) -> DownloadSigner:
    return DownloadSigner(url, bucket="photos", region="cn-hangzhou", credential=credential, period=period, **options)


@pytest.mark.parametrize("address", sorted(CLIENTS))
@pytest.mark.parametrize("credential", [STS, ACCESS_KEY], ids=["token", "access-key"])
@given(
    key=KEYS,
    process=st.sampled_from([None, "image/resize,w_200/format,webp", "video/snapshot,t_0", "style/a+b="]),
    disposition=st.sampled_from([None, "inline", "attachment"]),
)
def test_a_url_equals_that_of_the_sdk(
    key: str,
    process: str | None,
    disposition: Literal["inline", "attachment"] | None,
    credential: v4.Credential,
    address: str,
) -> None:
    header: str | None = disposition
    if disposition == "attachment":
        header = content_disposition("attachment", key)
    request = oss.GetObjectRequest(bucket="photos", key=key, process=process, response_content_disposition=header)
    expected = CLIENTS[address][credential].presign(request, expires=timedelta(hours=1)).url
    assert expected is not None
    chosen = parameters(expected)
    start = datetime.strptime(chosen["x-oss-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    period = Period(start, start + timedelta(seconds=int(chosen["x-oss-expires"])))
    mine = download_signer(period, credential, address, process=process, disposition=disposition).url(key)
    assert parameters(mine) == chosen
    assert mine.partition("?")[0] == expected.partition("?")[0]


def test_a_url_names_its_object_and_its_expiration() -> None:
    url = download_signer(Period(SIGNED_AT, SIGNED_AT + timedelta(minutes=5))).url("p/猫 1?#.jpg")
    address, query = urlsplit(url), parameters(url)
    assert (address.netloc, unquote(address.path)) == ("photos.oss-cn-hangzhou.aliyuncs.com", "/p/猫 1?#.jpg")
    assert query["x-oss-date"] == "20260309T235959Z"
    assert query["x-oss-credential"] == "STS.id/20260309/cn-hangzhou/oss/aliyun_v4_request"
    assert (query["x-oss-expires"], query["x-oss-security-token"]) == ("300", STS.security_token)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.integers(1, 86_400), st.integers(1, 86_400))
def test_a_period_is_that_of_the_whole_window_and_lasts_for_expires_after_it(
    moment: datetime, window_seconds: int, expires_seconds: int
) -> None:
    now = moment.replace(tzinfo=UTC)
    window, expires = timedelta(seconds=window_seconds), timedelta(seconds=expires_seconds)
    period = period_at(dataclasses.replace(RULES, window=window, expires=expires), now)
    assert period.start <= now < period.start + window
    assert period.end == period.start + window + expires
    rules = dataclasses.replace(RULES, window=window, expires=expires)
    assert period_at(rules, period.start + window - timedelta(microseconds=1)) == period
    assert period_at(rules, period.start + window).start == period.start + window


def test_without_a_window_a_period_starts_now() -> None:
    rules = dataclasses.replace(RULES, window=timedelta())
    assert period_at(rules, NOW) == Period(SIGNED_AT, SIGNED_AT + timedelta(minutes=30))


@pytest.mark.parametrize("lifetime_seconds", [1.2, 2.0, 299.9])
def test_a_period_ends_no_later_than_the_credential(lifetime_seconds: float) -> None:
    expiration = NOW + timedelta(seconds=lifetime_seconds)
    period = period_at(RULES, NOW).within(dataclasses.replace(STS, expiration=expiration), NOW)
    assert expiration - timedelta(seconds=1) < period.end <= expiration


@pytest.mark.parametrize("lifetime_seconds", [-3600.0, 0.0, 0.05])
def test_an_expired_credential_signs_nothing(lifetime_seconds: float) -> None:
    credential = dataclasses.replace(STS, expiration=NOW + timedelta(seconds=lifetime_seconds))
    with pytest.raises(CredentialsUnavailable):
        period_at(RULES, NOW).within(credential, NOW)


@pytest.mark.parametrize("expires_seconds", [0, 7 * 86400 + 1])
def test_a_period_beyond_the_limits_of_oss_is_rejected(expires_seconds: int) -> None:
    with pytest.raises(ValueError, match="604800"):
        download_signer(Period(SIGNED_AT, SIGNED_AT + timedelta(seconds=expires_seconds)))


UNIQUE = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("key", "header"),
    [
        ("a/photo.jpg", 'attachment; filename="photo.jpg"'),
        (f"a/{UNIQUE}-photo.jpg", 'attachment; filename="photo.jpg"'),
        (f"a/{UNIQUE}-", f'attachment; filename="{UNIQUE}-"'),
        (f"a/{UNIQUE}.jpg", f'attachment; filename="{UNIQUE}.jpg"'),
        ("a/照 片.jpg", "attachment; filename*=UTF-8''%E7%85%A7%20%E7%89%87.jpg"),
        ('a/x";\r\nSet-Cookie: a.jpg', "attachment; filename*=UTF-8''x%22%3B%0D%0ASet-Cookie%3A%20a.jpg"),
        ("a/.htaccess", "attachment; filename*=UTF-8''.htaccess"),
        ("a/", "attachment"),
    ],
)
def test_a_file_is_saved_under_the_name_that_it_was_uploaded_with(key: str, header: str) -> None:
    assert content_disposition("attachment", key) == header


def test_the_repr_has_no_secret() -> None:
    signer = download_signer(Period(SIGNED_AT, SIGNED_AT + timedelta(minutes=5)))
    assert "token" not in repr(signer)
    assert "secret" not in repr(signer)
