"""Step `bucket`: does the bucket exist in the defined region, and does OSS accept the role's token.

The first request has no signature, so it needs no permission. The second is GetBucketInfo. If the role may not call it,
a read of an absent object follows: OSS checks signature and region before permissions.
"""

import alibabacloud_oss_v2 as oss

from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import NoResponse
from signer.doctor.oss_probe import OssProbe, OssRefusal
from signer.doctor.plan import BucketUse
from signer.doctor.remedies import CHRONY, OSS_CONSOLE, bucket_page
from signer.signing.v4 import Credential


async def check_unsigned(client: OssProbe, subject: Subject, use: BucketUse) -> Finding | None:
    """Return what is wrong for every role; None if the bucket seems to exist."""
    try:
        refusal = await client.unsigned_request(use)
    except NoResponse as error:
        host = client.endpoint.url(use.region)
        fix = f"check the region, and the connection from this machine: curl -sI {host}"
        return subject.failed(f"{host} {error}", fix)
    return _bucket_failure(subject, use, refusal)


async def check_signed(client: OssProbe, subject: Subject, use: BucketUse, credential: Credential) -> Finding:
    """Check the bucket with the role's token."""
    request = oss.GetBucketInfoRequest(bucket=use.bucket)
    try:
        info = (await client.call(use, credential, lambda sdk: sdk.get_bucket_info(request))).bucket_info
    except OssRefusal as refusal:
        if not refusal.is_denied:
            return _bucket_failure(subject, use, refusal) or subject.failed(str(refusal), refusal.help_url)
    else:
        location = str(getattr(info, "location", "") or "").removeprefix("oss-")
        if location and location != use.region:
            return subject.failed(*_other_region(use, location))
        return subject.ok(f"exists in {use.region}")
    try:
        await client.get_absent_object(use, credential)
    except OssRefusal as refusal:
        if (failure := _bucket_failure(subject, use, refusal)) is not None:
            return failure
        # The steps domain and write report an endpoint that is closed to the account.
        if not (refusal.is_denied or refusal.is_closed_endpoint or refusal.code == "NoSuchKey"):
            return subject.failed(str(refusal), refusal.help_url)
    return subject.ok(f"exists in {use.region} (GetBucketInfo not used: the role does not allow it, and need not)")


def _bucket_failure(subject: Subject, use: BucketUse, refusal: OssRefusal) -> Finding | None:
    """Return the finding for a refusal that concerns the bucket or the token as a whole.

    See: https://help.aliyun.com/zh/oss/developer-reference/error-responses
    """
    if refusal.code in ("NoSuchBucket", "InvalidBucketName"):
        fix = f"correct bucket in the definitions, or create it in {use.region}: {OSS_CONSOLE} > Create Bucket"
        return subject.failed("there is no such bucket", fix)
    if refusal.is_other_region:
        return subject.failed(*_other_region(use, refusal.region))
    if refusal.code == "RequestTimeTooSkewed":
        return subject.failed("OSS rejects the clock of this machine", CHRONY)
    if refusal.code in ("UserDisable", "BucketDisable") or refusal.code.startswith("InDebt"):
        fix = "pay the outstanding amount, or ask why the account is disabled: https://usercenter2.aliyun.com"
        return subject.failed(f"OSS has disabled it or its owner ({refusal.code})", fix)
    if refusal.code.startswith(("InvalidSecurityToken", "InvalidAccessKeyId", "SecurityTokenExpired")):
        return subject.failed(f"OSS does not accept the role's token: {refusal}", refusal.help_url)
    return None


def _other_region(use: BucketUse, region: str | None) -> tuple[str, str]:
    if region is None or region == use.region:
        page = bucket_page(use.bucket, use.region, "Overview")
        return f"is in another region than {use.region}", f"write the region that its page shows: {page}"
    return f"is in {region}, but is defined in {use.region}", f"write region: {region} for its apps"
