"""Step `lifecycle`: does the bucket delete the parts of abandoned multipart uploads, and only those.

OSS bills parts until they are deleted. An upload can be continued only while its parts exist.
See: https://help.aliyun.com/zh/oss/developer-reference/getbucketlifecycle
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from signer.definitions.quantities import format_count, format_duration
from signer.doctor.bucket_rules import days_until_abandoned
from signer.doctor.findings import Finding, Subject
from signer.doctor.oss_probe import OssProbe, OssRefusal
from signer.doctor.plan import BucketUse
from signer.doctor.remedies import lifecycle_rule
from signer.signing.v4 import Credential


async def check_lifecycle(
    client: OssProbe, subject: Subject, use: BucketUse, lifetimes: Mapping[str, timedelta], credential: Credential
) -> Finding:
    """Look for rules that delete parts; `lifetimes` are how long an upload below each prefix can be continued."""
    fix = lifecycle_rule(use.bucket, use.region, [*lifetimes], days_until_abandoned(lifetimes.values()))
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
    active = [rule for rule in rules if rule.status == "Enabled" and rule.abort_multipart_upload is not None]
    if early := [*_deleting_early(active, lifetimes)]:
        return subject.warning(f"{' and '.join(early)}; uploads that continue later start again", fix)
    if bare := [prefix for prefix in lifetimes if not _is_covered(prefix, active)]:
        where = " and ".join(f"{prefix}*" for prefix in bare)
        return subject.warning(f"no rule deletes the parts of abandoned uploads below {where}, and OSS bills them", fix)
    return subject.ok("a rule deletes the parts of abandoned uploads")


def _is_covered(prefix: str, rules: Iterable[Any]) -> bool:
    """Return whether a rule deletes the parts below a prefix. One with a date does so only once."""
    return any(rule.abort_multipart_upload.days is not None and prefix.startswith(rule.prefix or "") for rule in rules)


def _deleting_early(rules: Iterable[Any], lifetimes: Mapping[str, timedelta]) -> Iterator[str]:
    """Yield which rules delete parts of uploads that can still be continued, and below which prefix."""
    for rule in rules:
        for prefix, lifetime in lifetimes.items():
            if not (prefix.startswith(rule.prefix or "") or (rule.prefix or "").startswith(prefix)):
                continue
            days, date = rule.abort_multipart_upload.days, rule.abort_multipart_upload.created_before_date
            if days is not None and timedelta(days=days) < lifetime:
                when = f"after {format_count(days, 'day')}"
            elif date is not None and _in_utc(date) > datetime.now(UTC) - lifetime:
                when = f"that were created before {_in_utc(date):%Y-%m-%d}"
            else:
                continue
            expires = format_duration(lifetime)
            yield f"the rule {rule.id} deletes parts below {prefix}* {when}, but multipart.expires is {expires}"


def _in_utc(date: datetime) -> datetime:
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
