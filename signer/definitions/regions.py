"""OSS's region ids: their form, and suggestions for misspelt ones."""

import difflib
import re

KNOWN = (
    "cn-hangzhou", "cn-shanghai", "cn-nanjing", "cn-fuzhou", "cn-wuhan-lr", "cn-qingdao", "cn-beijing",
    "cn-zhangjiakou", "cn-huhehaote", "cn-wulanchabu", "cn-shenzhen", "cn-heyuan", "cn-guangzhou", "cn-chengdu",
    "cn-hongkong", "cn-beijing-finance-1", "cn-shanghai-finance-1", "cn-shenzhen-finance-1", "cn-north-2-gov-1",
    "us-west-1", "us-east-1", "na-south-1", "eu-central-1", "eu-west-1", "me-east-1", "me-central-1",
    "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3",
    "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
)  # fmt: skip
"""For suggestions only: new regions need no new version.

See: https://help.aliyun.com/zh/oss/user-guide/regions-and-endpoints
"""

PATTERN = "^(?!oss-)(?!.*-(?:internal|vpc)$)[a-z]+(?:-[a-z0-9]+)+$"

_BEFORE_REGION = re.compile(r"(?:vpc100-)?oss-")
_AFTER_REGION = re.compile(r"-(?:internal|vpc)$")


def validate_region(value: str) -> str:
    """Return the region id, or raise `ValueError` with how to fix it."""
    if re.fullmatch(PATTERN, value):
        return value
    if "oss-accelerate" in value:
        raise ValueError("not a region id but OSS's endpoint for acceleration; write the bucket's, like cn-hangzhou")
    if region := _region_of_endpoint(value):
        raise ValueError(f"not a region id but an endpoint; write {region}")
    folded = re.sub(r"[\s_]+", "-", value.strip().lower())
    near = closest_region(folded) or next((each for each in KNOWN if each.partition("-")[2] == folded), None)
    raise ValueError(f"not a region id; {f'did you mean {near}?' if near else 'write it like cn-hangzhou'}")


def _region_of_endpoint(value: str) -> str | None:
    """Return the region in an endpoint, such as `photos.oss-cn-hangzhou.aliyuncs.com` or `cn-hangzhou-internal`.

    See: https://help.aliyun.com/zh/oss/user-guide/regions-and-endpoints
    """
    host = value.lower().rpartition("://")[2].rstrip("/").removesuffix(".aliyuncs.com")
    for part in reversed(host.split(".")):
        without_prefix = _BEFORE_REGION.sub("", part)
        region = _AFTER_REGION.sub("", without_prefix)
        is_part_of_endpoint = region != part or host.endswith(".oss") or value.lower() != host
        if is_part_of_endpoint and re.fullmatch(r"[a-z]{2}-[a-z0-9-]+", region):
            return region
    return None


def closest_region(value: str) -> str | None:
    """Return the known region that is most like the value, or None."""
    close = difflib.get_close_matches(value[:64], KNOWN, n=1, cutoff=0.8)
    return close[0] if close else None


def likely_region(value: str) -> str | None:
    """Return the region that was probably meant; None for a known one, or where only a number differs from one."""
    near = None if value in KNOWN else closest_region(value)
    if near is None or re.sub("[0-9]", "", near) == re.sub("[0-9]", "", value):
        return None
    return near
