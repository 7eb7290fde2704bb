"""What OSS's refusals show about the address that phones upload to, and how to fix it.

See: https://help.aliyun.com/zh/oss/user-guide/access-buckets-via-custom-domain-names
"""

from urllib.parse import urlsplit

from signer.doctor.oss_probe import OssRefusal
from signer.doctor.plan import BucketUse
from signer.doctor.remedies import bucket_page

_CONDITION_FAILED = "0006-00000227"
"""The EC of a form with a condition that does not hold: the steps' forms fail only that on the bucket."""


def address_failure(use: BucketUse, url: str, refusal: OssRefusal) -> tuple[str, str] | None:
    """Return what is wrong with the address and how to fix it; None if the refusal has another reason."""
    if refusal.is_closed_endpoint:
        what = f"OSS closed {url} to accounts that are new since 2025-03-20, such as this one ({refusal.code})"
        return what, f"{bind_domain(use)}; then write the domain as domain: https://upload.example.com"
    fix = bind_domain(use, urlsplit(url).hostname)
    if refusal.code == "NoSuchBucket":
        return f"it is not bound to a bucket ({refusal.code})", fix
    if refusal.code == "SignatureDoesNotMatch" or refusal.ec == _CONDITION_FAILED:
        return f"it does not lead to the bucket {use.bucket} ({refusal.code})", fix
    if not refusal.code:
        return f"the server there is not OSS ({refusal.status})", fix
    if refusal.is_other_region:
        return f"its bucket is not in {use.region}", "see the step bucket"
    return None


def bind_domain(use: BucketUse, host: str | None = None) -> str:
    """Return how to bind a domain to the bucket."""
    page = bucket_page(use.bucket, use.region, "Bucket Settings > Domain Names > Map Custom Domain Name")
    name = host or "a name of yours, such as upload.example.com"
    return f"{page}, and in your DNS: CNAME {name} -> {urlsplit(use.default_url).hostname}"
