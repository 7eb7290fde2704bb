"""Step `lifecycle`: does the bucket delete the parts of abandoned multipart uploads, which OSS bills until then.

See: https://help.aliyun.com/zh/oss/developer-reference/getbucketlifecycle
"""

from collections.abc import Iterable, Sequence
from typing import Any

from signer.doctor.findings import Finding, Subject
from signer.doctor.oss_probe import OssProbe, OssRefusal
from signer.doctor.plan import BucketUse
from signer.doctor.remedies import lifecycle_rule
from signer.signing.v4 import Credential


async def check_lifecycle(
    client: OssProbe, subject: Subject, use: BucketUse, prefixes: Sequence[str], days: int, credential: Credential
) -> Finding:
    """Look for rules that delete the parts below each prefix; `days` is how long an upload can be continued."""
    fix = lifecycle_rule(use.bucket, use.region, prefixes, days)
    try:
        rules = await client.bucket_lifecycle(use, credential)
    except OssRefusal as refusal:
        if refusal.code == "NoSuchLifecycle":
            rules = []
        elif refusal.is_denied:
            reason = (
                "because the role may not read the rules (oss:GetBucketLifecycle), and need not; check them by hand"
            )
            return subject.not_checked(reason, fix)
        else:
            return subject.failed(str(refusal), refusal.help_url)
    if bare := [prefix for prefix in prefixes if not _is_covered(prefix, rules)]:
        where = " and ".join(f"{prefix}*" for prefix in bare)
        return subject.warning(f"no rule deletes the parts of abandoned uploads below {where}, and OSS bills them", fix)
    return subject.ok("a rule deletes the parts of abandoned uploads")


def _is_covered(prefix: str, rules: Iterable[Any]) -> bool:
    return any(
        rule.status == "Enabled" and rule.abort_multipart_upload is not None and prefix.startswith(rule.prefix or "")
        for rule in rules
    )
