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

PATTERN = "^(?!oss-)[a-z]+(?:-[a-z0-9]+)+$"

_ENDPOINT = re.compile(
    r"(?:https?://)?(?:[a-z0-9-]{3,63}\.)?oss-([a-z]{2}-[a-z0-9-]+?)(?:-internal)?(?:\.aliyuncs\.com)?/?"
)


def validate_region(value: str) -> str:
    """Return the region id, or raise `ValueError` with how to fix it."""
    if re.fullmatch(PATTERN, value):
        return value
    if endpoint := _ENDPOINT.fullmatch(value):
        raise ValueError(f"not a region id but an endpoint; write {endpoint[1]}")
    folded = re.sub(r"[\s_]+", "-", value.strip().lower())
    near = closest_region(folded) or next((each for each in KNOWN if each.partition("-")[2] == folded), None)
    raise ValueError(f"not a region id; {f'did you mean {near}?' if near else 'write it like cn-hangzhou'}")


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
