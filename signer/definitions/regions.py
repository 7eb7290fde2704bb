"""OSS's region ids: what one looks like, and which one was meant by something that is none."""

from __future__ import annotations

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
"""For suggestions only (help page `Regions and endpoints`): new regions need no new signer."""

PATTERN = "^(?!oss-)[a-z]+(?:-[a-z0-9]+)+$"

_ID = re.compile(PATTERN)
_ENDPOINT = re.compile(
    r"(?:https?://)?(?:[a-z0-9-]{3,63}\.)?oss-([a-z]{2}-[a-z0-9-]+?)(?:-internal)?(?:\.aliyuncs\.com)?/?"
)


def check(value: str) -> str:
    """Raises ValueError with the mend."""
    if _ID.fullmatch(value):
        return value
    endpoint = _ENDPOINT.fullmatch(value)
    if endpoint:
        raise ValueError(f"not a region id but the name of an endpoint; write {endpoint[1]}")
    folded = re.sub(r"[\s_]+", "-", value.strip().lower())
    near = meant(folded) or next((each for each in KNOWN if each.partition("-")[2] == folded), None)
    raise ValueError(f"not a region id; {f'did you mean {near}?' if near else 'write it like cn-hangzhou'}")


def meant(value: str) -> str | None:
    """The known region that is nearest, or None; for a known one itself too."""
    close = difflib.get_close_matches(value[:64], KNOWN, n=1, cutoff=0.8)
    return close[0] if close else None


def probably_mistyped(value: str) -> str | None:
    """The region that was meant, where letters differ; another number is rather a new region."""
    near = None if value in KNOWN else meant(value)
    if near is None or re.sub("[0-9]", "", near) == re.sub("[0-9]", "", value):
        return None
    return near
