"""Step `bucket`: is it there, in the region that the definitions say, and does OSS take the role's token.

First without a signature, which needs no permission; then GetBucketInfo, or, for a role that may not, a read of an
object that nobody made: OSS checks the signature, and its region, before it looks what the role may do.
"""

from __future__ import annotations

import alibabacloud_oss_v2 as oss

from signer.doctor.findings import About, Finding
from signer.doctor.http_probe import NoAnswer
from signer.doctor.oss_probe import Oss, Refused
from signer.doctor.plan import BucketUse, Ids
from signer.doctor.remedies import CHRONY, OSS_CONSOLE, bucket_page
from signer.signing.v4 import Credential


async def unsigned(client: Oss, use: BucketUse, apps: Ids) -> Finding | None:
    """What is wrong for everybody; None for a bucket that seems to be there."""
    about = About("bucket", str(use), apps)
    try:
        refused = await client.unsigned(use)
    except NoAnswer as error:
        host = client.endpoint.of(use.region)
        return about.failed(
            f"{host} {error}", f"see that this machine may reach it: curl -sI {host}; is the region right?"
        )
    return _wrong(about, use, refused)


async def signed(client: Oss, use: BucketUse, apps: Ids, credential: Credential) -> Finding:
    about = About("bucket", str(use), apps)
    request = oss.GetBucketInfoRequest(bucket=use.bucket)
    try:
        info = (await client.call(use, credential, lambda each: each.get_bucket_info(request))).bucket_info
        location = str(getattr(info, "location", "") or "").removeprefix("oss-")
        if location and location != use.region:
            return about.failed(*_elsewhere(use, location))
        return about.ok(f"is there, in {use.region}")
    except Refused as refused:
        if not refused.denied:
            return _wrong(about, use, refused) or about.failed(str(refused), _look_up(refused))
    try:
        await client.read_nothing(use, credential)
    except Refused as refused:
        wrong = _wrong(about, use, refused)
        if wrong is None and not (refused.denied or refused.code == "NoSuchKey"):
            wrong = about.failed(str(refused), _look_up(refused))
        if wrong is not None:
            return wrong
    return about.ok(f"is there, in {use.region} (not checked with GetBucketInfo: the role may not, and need not)")


def _wrong(about: About, use: BucketUse, refused: Refused) -> Finding | None:
    if refused.code in ("NoSuchBucket", "InvalidBucketName"):
        mend = f"mend bucket in the definitions, or make it in {use.region}: {OSS_CONSOLE} > Create Bucket"
        return about.failed("there is no such bucket", mend)
    if refused.elsewhere:
        return about.failed(*_elsewhere(use, refused.region))
    if refused.code == "RequestTimeTooSkewed":
        return about.failed("OSS refuses our clock", CHRONY)
    if refused.code in ("UserDisable", "BucketDisable") or refused.code.startswith("InDebt"):
        mend = "pay what is owed, or ask why it is switched off: https://usercenter2.aliyun.com"
        return about.failed(f"its owner is cut off by OSS ({refused.code})", mend)
    if refused.code.startswith(("InvalidSecurityToken", "InvalidAccessKeyId", "SecurityTokenExpired")):
        return about.failed(f"OSS does not take the role's token: {refused}", _look_up(refused))
    return None


def _elsewhere(use: BucketUse, region: str | None) -> tuple[str, str]:
    if region is None or region == use.region:
        page = bucket_page(use.bucket, use.region, "Overview")
        return f"is in another region than {use.region}", f"write the region that its page shows: {page}"
    return f"is in {region}, the definitions say {use.region}", f"write region: {region} for its apps"


def _look_up(refused: Refused) -> str:
    return f"https://api.aliyun.com/troubleshoot?q={refused.ec or refused.code}"
