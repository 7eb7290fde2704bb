"""Finds the bucket, the object key and the query parameters of a request to OSS.

See: https://help.aliyun.com/zh/oss/user-guide/access-methods
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote

from aiohttp import web

from localcloud.oss_errors import OssError, not_implemented
from localcloud.world import World

_MAX_KEY_BYTES = 1023
_SURROGATE = re.compile("[\ud800-\udfff]")
"""A byte that is not UTF-8, as aiohttp decodes headers and file names."""
_BUCKET_HOST = re.compile(r"([a-z0-9][a-z0-9-]{1,61}[a-z0-9])\.oss-[a-z0-9-]+\..+")


def host_of(request: web.Request) -> str:
    """Return the host without its port."""
    return request.host.rpartition(":")[0] or request.host


def is_address(host: str) -> bool:
    """Return whether it is an IP address and not a name."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def bucket_and_key(request: web.Request, world: World) -> tuple[str, str]:
    """Return the names in a custom domain, a bucket's host name, or the path of a plain address."""
    path = unquote(request.raw_path.partition("?")[0].removeprefix("/"))
    host = host_of(request)
    if host in world.domains:
        return world.domains[host], path
    match = _BUCKET_HOST.fullmatch(host)
    if match is not None:
        return match[1], path
    bucket, _, key = path.partition("/")
    return bucket, key


def check_encoding(request: web.Request) -> None:
    """Raise NotImplemented for a header that is not UTF-8."""
    for name, value in request.headers.items():
        if _SURROGATE.search(value):
            raise not_implemented(f"A header {name} that is not UTF-8", name)


def check_key(key: str) -> None:
    """Raise InvalidObjectName unless OSS accepts it as the name of an object.

    See: https://help.aliyun.com/zh/oss/user-guide/object-naming-conventions
    See: https://help.aliyun.com/zh/oss/support/0016-00000001, .../0016-00000002 and .../0016-00000005
    """
    if not key:
        ec = "0016-00000001"
    elif key[0] in "/\\":
        ec = "0016-00000005"
    # Bytes of a path that are not UTF-8 were decoded as U+FFFD.
    elif len(key.encode(errors="replace")) > _MAX_KEY_BYTES or "\ufffd" in key or _SURROGATE.search(key):
        ec = "0016-00000002"
    else:
        return
    raise OssError(400, "InvalidObjectName", "The specified object is not valid.", ec)


def query_of(request: web.Request) -> dict[str, str]:
    """Return the percent-decoded query; a `+` is a plus sign. Raise `OssError` if a parameter is repeated."""
    raw = request.raw_path.partition("?")[2]
    query: dict[str, str] = {}
    for name, _, value in (pair.partition("=") for pair in raw.split("&") if pair):
        if unquote(name) in query:
            raise not_implemented(f"The repeated query parameter {unquote(name)}", unquote(name))
        query[unquote(name)] = unquote(value)
    return query
