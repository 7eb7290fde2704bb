"""Step `multipart`: may the role do what multipart uploads below a prefix need, at the address that the signer calls.

Each action is tried on an upload and an object that do not exist: OSS checks permissions first, and nothing is stored.
See: https://help.aliyun.com/zh/oss/developer-reference/initiatemultipartupload
"""

import alibabacloud_oss_v2 as oss

from signer.doctor.action_trial import Calls, try_actions
from signer.doctor.findings import Finding, Subject
from signer.doctor.oss_probe import OssProbe, unique_name
from signer.doctor.plan import MultipartUse
from signer.signing.v4 import Credential

_NO_UPLOAD = "0123456789ABCDEF0123456789ABCDEF"


async def check_multipart(
    client: OssProbe, subject: Subject, multipart: MultipartUse, credential: Credential
) -> Finding:
    """Try each action below the prefix, and name those that the role lacks."""
    use, prefix = multipart.use, multipart.fixed
    calls = _calls(use.bucket, prefix + unique_name())
    purpose = "multipart uploads"
    failure = await try_actions(client, subject, use, multipart.url, calls, credential, prefix=prefix, purpose=purpose)
    return failure or subject.ok("the role may start, list, complete and abort uploads, and find their objects")


def _calls(bucket: str, key: str) -> Calls:
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
