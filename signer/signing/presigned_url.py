"""Presigned V4 URLs to read what a caller has uploaded, by the official SDK (help page `presigned URL V4`).

The SDK takes 0.1 s to load, in which an event loop would stand still: it is loaded where definitions give downloads,
and where none do it never is.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from signer.errors import CredentialsUnavailable
from signer.signing.upload_rules import UploadRules
from signer.signing.v4 import Credential

if TYPE_CHECKING:
    import alibabacloud_oss_v2 as oss


@dataclass(frozen=True, slots=True)
class SignedDownload:
    url: str = field(repr=False)
    expires_at: datetime


def load_sdk() -> None:
    """Before the first download is signed."""
    importlib.import_module("alibabacloud_oss_v2")


def sign_download(
    rules: UploadRules, key: str, *, expires: timedelta, credential: Credential, now: datetime
) -> SignedDownload:
    """A URL that reads `key` until it expires, or until the credential does if that is sooner.

    Raises `CredentialsUnavailable` for a credential that has ended.
    """
    import alibabacloud_oss_v2 as oss

    ends = now + expires if credential.expiration is None else min(now + expires, credential.expiration)
    if ends - now < timedelta(seconds=1):
        raise CredentialsUnavailable("the credential has ended; try again shortly", retry_after_seconds=1)
    signed = _client(rules, credential).presign(oss.GetObjectRequest(bucket=rules.bucket, key=key), expires=ends - now)
    # The SDK signs for whole seconds, cut down.
    return SignedDownload(str(signed.url), ends.replace(microsecond=0) - timedelta(seconds=1))


def _client(rules: UploadRules, credential: Credential) -> oss.Client:
    """Made anew for each URL: it is cheap, opens no connection, and holds the credential no longer than needed."""
    import alibabacloud_oss_v2 as oss

    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        credential.access_key_id, credential.access_key_secret, credential.security_token
    )
    url = urlsplit(rules.url)
    config.region = rules.region
    config.endpoint = f"{url.scheme}://{url.netloc}"
    if url.path:
        config.use_path_style = True
    elif url.netloc.startswith(f"{rules.bucket}."):
        config.endpoint = f"{url.scheme}://{url.netloc.removeprefix(f'{rules.bucket}.')}"
    else:
        config.use_cname = True
    return oss.Client(config)
