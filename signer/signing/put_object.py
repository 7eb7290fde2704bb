"""Presign a PutObject: one URL to which one file of the stated size and type can be sent, with fixed headers.

OSS compares each `x-oss-*` header and the type of a request with the signature, and the length because it is one of
the additional headers. So the client can neither change, drop nor add one of them. Other headers stay open to it, such
as Cache-Control, unless the app fixes them.

See: https://help.aliyun.com/zh/oss/developer-reference/putobject
See: https://help.aliyun.com/zh/oss/developer-reference/add-signatures-to-urls
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from signer.errors import InvalidRequest
from signer.signing.callback_field import FormScope
from signer.signing.multipart_headers import callback_headers, object_headers
from signer.signing.object_key import unique_key
from signer.signing.presigned_url import Presigner
from signer.signing.upload_rules import UploadRequest, UploadRules, check_size, choose_content_type
from signer.signing.v4 import Credential


@dataclass(frozen=True, slots=True)
class SignedPut:
    """A URL to which one file can be sent with `PUT` until `expires_at`."""

    key: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """What the client sends, by name."""
    size_bytes: int
    expires_at: datetime

    def audit_members(self) -> dict[str, object]:
        """Return what the audit log records."""
        return {
            "method": "PUT",
            "key": self.key,
            "size": self.size_bytes,
            "content_type": self.headers["Content-Type"],
            "expires_at": self.expires_at,
        }


def sign_put(
    app_id: str,
    rules: UploadRules,
    request: UploadRequest,
    *,
    caller: str | None,
    credential: Credential,
    now: datetime,
) -> SignedPut:
    """Return the URL and headers of an upload, which expire as a form would.

    Raises a `Problem` if the request breaks the rules or lacks the size or the type, or the credential has expired.
    """
    own_headers = put_headers(rules, request)
    prefix, key = rules.naming.keys(app_id=app_id, caller=caller, filename=request.filename, now=now)
    if key is None:
        key = unique_key(prefix, request.filename)
    signed_at = now.replace(microsecond=0)
    expires_at = credential.limit(signed_at + rules.expires, now)
    scope = FormScope(rules.bucket, key, True, caller, int(expires_at.timestamp()))
    headers = own_headers | callback_headers(rules, scope, request.vars, app_id=app_id)
    presigner = Presigner(
        rules.url,
        bucket=rules.bucket,
        key=key,
        region=rules.region,
        credential=credential,
        signed_at=signed_at,
        expires_seconds=int((expires_at - signed_at).total_seconds()),
    )
    return SignedPut(key, presigner.url("PUT", headers=headers), headers, request.size_bytes or 0, expires_at)


def put_headers(rules: UploadRules, request: UploadRequest) -> dict[str, str]:
    """Return the headers of a PUT except those of the callback, which depend on the caller.

    Raises a `Problem` if the request breaks the rules, or lacks the size or the type.
    """
    if request.size_bytes is None:
        raise InvalidRequest("size is missing; a PUT needs the exact size of the file in bytes")
    if request.content_type is None:
        raise InvalidRequest("content_type is missing; a PUT needs the type that the client will send")
    if request.reuse:
        raise InvalidRequest("reuse is for forms; a PUT stores one file, so leave it out")
    check_size(rules, request)
    rules.naming.check_filename(request.filename)
    headers = {
        "Content-Type": choose_content_type(rules, request) or request.content_type,
        "Content-Length": str(request.size_bytes),
        **object_headers(rules, request),
    }
    for name, value in headers.items():
        if not value.isascii():
            raise InvalidRequest(f"{name} has characters that no HTTP header can carry; send ASCII, or use a form")
    return headers
