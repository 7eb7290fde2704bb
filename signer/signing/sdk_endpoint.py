"""The endpoint that an SDK of OSS needs for a bucket: the SDK puts the bucket before it, unless it is a domain (CNAME).

See: https://help.aliyun.com/zh/oss/user-guide/regions-and-endpoints
"""

from ipaddress import ip_address
from urllib.parse import urlsplit


def sdk_endpoint(bucket_url: str, bucket: str) -> tuple[str, bool]:
    """Return the endpoint of a bucket's URL, and whether it is a domain that is bound to the bucket (`cname`)."""
    url = urlsplit(bucket_url)
    try:
        ip_address(url.hostname or "")
    except ValueError:
        host = url.netloc.removeprefix(f"{bucket}.")
        is_of_oss = host != url.netloc and (url.hostname or "").endswith(".aliyuncs.com")
        return (f"{url.scheme}://{host}", False) if is_of_oss else (bucket_url, True)
    # SDKs put the bucket into the path, such as for the local cloud.
    return f"{url.scheme}://{url.netloc}", False
