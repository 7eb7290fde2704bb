"""What OSS's error responses mean for a multipart upload or a delete."""

import alibabacloud_oss_v2 as oss

from signer.errors import AlreadyExists, InvalidRequest, OssRefused, PartsMismatch, Problem
from signer.multipart.oss_results import NoSuchObject, NoSuchUpload, OssFailure, TokenRejected

_ACTIONS = {
    "InitiateMultipartUpload": "oss:PutObject",
    "ListParts": "oss:ListParts",
    "CompleteMultipartUpload": "oss:PutObject",
    "AbortMultipartUpload": "oss:AbortMultipartUpload",
    "HeadObject": "oss:GetObject",
    "DeleteObject": "oss:DeleteObject",
}
"""The RAM action that each operation needs.

See: https://help.aliyun.com/zh/oss/user-guide/ram-policy
"""
_NO_CODE = "BadErrorResponse"
"""The SDK's own code for a response without one."""
_CHANGED_PARTS = ("InvalidPart", "InvalidPartOrder", "EntityTooSmall")
_REJECTED_TOKENS = ("InvalidAccessKeyId", "InvalidSecurityToken", "SecurityTokenExpired")


def translate(error: Exception, operation: str, bucket: str) -> Exception:
    """Return what an error of the SDK means.

    The SDK's own text contains the signed request, so nothing of it is kept but OSS's Code and EC.

    See: https://help.aliyun.com/zh/oss/developer-reference/error-responses
    """
    while isinstance(error, oss.exceptions.OperationError):
        error = error.unwrap()
    if not isinstance(error, oss.exceptions.ServiceError):
        return OssFailure(f"{operation}: no usable response ({type(error).__name__})")
    status, code = error.status_code, str(error.code or "")
    if code == _NO_CODE:  # The response to HEAD has no body, and a proxy may have removed OSS's header with the error.
        code = "AccessDenied" if status == 403 else ""
    shown = f"{status} {code}".rstrip() + (f", EC {error.ec}" if error.ec else "")
    if code == "NoSuchUpload":
        return NoSuchUpload()
    if operation == "HeadObject" and status == 404 and code != "NoSuchBucket":
        return NoSuchObject()
    if code in _REJECTED_TOKENS:
        return TokenRejected(shown)
    if status >= 500 or status == 429:
        return OssFailure(f"{operation}: {shown}")
    return _refusal(operation, code, shown, bucket)


def _refusal(operation: str, code: str, shown: str, bucket: str) -> Problem:
    if code == "FileAlreadyExists":
        return AlreadyExists("an object with this key exists, and the app does not overwrite; start a new upload")
    if code == "InvalidObjectName":
        return InvalidRequest(f"OSS does not accept this key ({shown}); use another one")
    if code in _CHANGED_PARTS:
        return PartsMismatch(f"OSS refuses the parts ({shown}); list the parts and send the wrong ones again")
    detail = f"OSS refuses {operation} for bucket {bucket} ({shown})"
    if code == "AccessDenied":
        detail = f"{detail}; allow {_ACTIONS[operation]} to the role of this app"
    return OssRefused(f"{detail}; the operators find more with: oss-signer doctor")
