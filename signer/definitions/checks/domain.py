"""Check the domain of an app against its bucket and region.

See: https://help.aliyun.com/zh/oss/user-guide/regions-and-endpoints
"""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from signer.definitions import model
from signer.definitions.mistakes import KeyPath, Violation
from signer.definitions.redaction import quote

_ENDPOINT = re.compile(
    r"(?:(?P<bucket>[a-z0-9-]+)\.)?"
    r"(?:oss-(?P<acceleration>accelerate(?:-overseas)?)|(?P<s3>s3\.)?oss-(?P<region>[a-z0-9-]+?)(?:-internal)?"
    r"|(?P<dual_stack>[a-z]+-[a-z0-9-]+)\.oss)\.aliyuncs\.com"
)
"""OSS's hosts, with or without a bucket before them."""


def check_domain(app: model.AppEntry, domain: str | None, path: KeyPath) -> Iterator[Violation]:
    """Yield what is wrong with a domain of the app's bucket, at `path` below the app, where it is a host of OSS."""
    host = urlsplit(domain or "").hostname or ""
    endpoint = _ENDPOINT.fullmatch(host)
    if endpoint is not None and (reason := _rejection(app, endpoint, host)) is not None:
        yield Violation(path, f"{quote(domain)} {reason}")


def _rejection(app: model.AppEntry, endpoint: re.Match[str], host: str) -> str | None:
    bucket, region = endpoint["bucket"], endpoint["region"] or endpoint["dual_stack"]
    if endpoint["s3"] or bucket == "s3":
        return "is OSS's endpoint for the protocol of Amazon S3; remove the key to use the bucket's own domain"
    if bucket is None:
        example = f"write https://{app.bucket}.{host}" if endpoint["acceleration"] else "remove the key"
        return f"is OSS's endpoint without a bucket; {example} to use the bucket's own domain"
    if bucket != app.bucket:
        return f"is not the domain of bucket {app.bucket}; remove the key, or correct one of the two"
    if region not in (None, app.region):
        return f"is not in region {app.region}; remove the key, or correct one of the two"
    return None
