"""Step `multipart`: may the role do what multipart uploads below a prefix need, at the address that the signer calls.

Each action is tried on an upload and an object that do not exist: OSS checks permissions first, and nothing is stored.
See: https://help.aliyun.com/zh/oss/developer-reference/initiatemultipartupload
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import alibabacloud_oss_v2 as oss
from alibabacloud_oss_v2.aio import AsyncClient

from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import NoResponse
from signer.doctor.oss_probe import OssProbe, OssRefusal, unique_name
from signer.doctor.plan import MultipartUse
from signer.doctor.public_address import address_failure
from signer.doctor.remedies import grant
from signer.signing.v4 import Credential

_NO_UPLOAD = "0123456789ABCDEF0123456789ABCDEF"
_EXPECTED = ("NoSuchUpload", "NoSuchKey")


async def check_multipart(
    client: OssProbe, subject: Subject, multipart: MultipartUse, credential: Credential
) -> Finding:
    """Try each action below the prefix, and name those that the role lacks."""
    use = multipart.use
    url = None if multipart.url == use.default_url else multipart.url
    missing = []
    for action, call in _calls(use.bucket, multipart.fixed + unique_name()).items():
        try:
            await client.call(use, credential, call, url=url)
        except NoResponse as error:
            host = urlsplit(multipart.url).netloc
            fix = "write an oss_endpoint that this machine can reach, such as internal on ECS in the bucket's region"
            return subject.failed(f"{host} {error}", fix)
        except OssRefusal as refusal:
            if refusal.is_denied:
                missing.append(action)
            elif refusal.code not in _EXPECTED:
                failure = address_failure(use, multipart.url, refusal)
                return subject.failed(*(failure or (str(refusal), refusal.help_url)))
    if missing:
        resource = f"acs:oss:*:*:{use.bucket}/{multipart.fixed}*"
        what = f"the role lacks {' and '.join(missing)} for multipart uploads"
        return subject.failed(what, grant(f"credentials.{use.role}", missing, resource))
    return subject.ok("the role may start, list, complete and abort uploads, and find their objects")


def _calls(bucket: str, key: str) -> Mapping[str, Callable[[AsyncClient], Awaitable[Any]]]:
    """Return a call for each RAM action, of an upload or object that does not exist."""
    parts = oss.CompleteMultipartUpload(parts=[oss.UploadPart(part_number=1, etag='"0"')])
    complete = oss.CompleteMultipartUploadRequest(
        bucket=bucket, key=key, upload_id=_NO_UPLOAD, complete_multipart_upload=parts
    )
    listing = oss.ListPartsRequest(bucket=bucket, key=key, upload_id=_NO_UPLOAD)
    abort = oss.AbortMultipartUploadRequest(bucket=bucket, key=key, upload_id=_NO_UPLOAD)
    get = oss.GetObjectRequest(bucket=bucket, key=key)
    return {
        "oss:PutObject": lambda client: client.complete_multipart_upload(complete),
        "oss:ListParts": lambda client: client.list_parts(listing),
        "oss:AbortMultipartUpload": lambda client: client.abort_multipart_upload(abort),
        "oss:GetObject": lambda client: client.get_object(get),
    }
