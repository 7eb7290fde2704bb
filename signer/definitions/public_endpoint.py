"""The public endpoints of OSS that accounts cannot use if they are new since 2025-03-20.

See: https://help.aliyun.com/zh/oss/user-guide/access-buckets-via-custom-domain-names
"""

import re
from urllib.parse import urlsplit

_HOST = re.compile(r"[a-z0-9-]+\.(?:oss-(?P<region>cn-[a-z0-9-]+)|(?P<dual_stack>cn-[a-z0-9-]+)\.oss)\.aliyuncs\.com")
_OUTSIDE_THE_MAINLAND = "cn-hongkong"


def is_closed_to_new_accounts(url: str) -> bool:
    """Return whether a URL is a bucket's default public domain in a Chinese mainland region.

    At these domains, OSS responds to uploads and downloads of new accounts with 400 PublicEndpointForbidden, EC
    0048-00000401. Nothing is documented for the domains of transfer acceleration.
    """
    match = _HOST.fullmatch(urlsplit(url).hostname or "")
    region = "" if match is None else match["region"] or match["dual_stack"]
    return region not in ("", _OUTSIDE_THE_MAINLAND) and not region.endswith("-internal")
