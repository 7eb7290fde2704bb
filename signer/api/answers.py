"""Signed uploads as JSON, in the two forms that clients know."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from signer.signing.form import SignedUpload
from signer.signing.presigned_url import SignedDownload


@lru_cache(maxsize=64)
def rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def documented(upload: SignedUpload) -> dict[str, str]:
    """The members of Alibaba's sample server (help page 92883), and what else a client may want, all strings."""
    fields = upload.fields
    answer = {
        "policy": fields["policy"],
        "x_oss_signature_version": fields["x-oss-signature-version"],
        "x_oss_credential": fields["x-oss-credential"],
        "x_oss_date": fields["x-oss-date"],
        "signature": fields["x-oss-signature"],
        "security_token": fields.get("x-oss-security-token", ""),
        "host": upload.url,
        "key_prefix": upload.key_prefix,
        "expires_at": rfc3339(upload.expires_at),
    }
    if upload.key is not None:
        answer["key"] = upload.key
    if (callback := fields.get("callback")) is not None:
        answer["callback"] = callback
    return answer


def documented_body(upload: SignedUpload) -> bytes:
    """As JSON. Where the next client gets the same upload, it gets the same bytes."""
    if upload.response_body is None:
        upload.response_body = orjson.dumps(documented(upload))
    return upload.response_body


def download(signed: SignedDownload) -> dict[str, str]:
    return {"url": signed.url, "expires_at": rfc3339(signed.expires_at)}


def whole_form(upload: SignedUpload) -> dict[str, Any]:
    """All that a client needs to send the file: the shape of boto3's presigned POST and Uppy's upload parameters."""
    return {
        "url": upload.url,
        "method": "POST",
        "fields": upload.fields,
        "file_field": "file",
        **({"key_prefix": upload.key_prefix} if upload.key is None else {"key": upload.key}),
        "expires_at": rfc3339(upload.expires_at),
        "max_size": upload.max_size_bytes,
    }
