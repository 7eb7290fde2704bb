"""GetBucketInfo and GetBucketLocation, and the checks of the endpoint.

See: https://help.aliyun.com/zh/oss/developer-reference/getbucketinfo and .../getbucketlocation
"""

from __future__ import annotations

import re

from aiohttp import web

from localcloud.operation import Operation
from localcloud.oss_errors import OssError
from localcloud.oss_request import OssRequest
from localcloud.oss_xml import xml_response
from localcloud.ownership import OWNER
from localcloud.world import Bucket

_ENDPOINT = re.compile(r"[a-z0-9][a-z0-9-]*\.oss-(.+?)(?:-internal)?\.[^.]+\..+")
_ACCELERATION = ("accelerate", "accelerate-overseas")
_ACCELERATED = re.compile(r"\.oss-accelerate(?:-overseas)?\.")


async def get_bucket_info(request: OssRequest) -> web.Response:
    """Every region's endpoint serves it."""
    bucket = request.bucket
    region = f"oss-{bucket.region}"
    return xml_response(
        f"<BucketInfo><Bucket><AccessMonitor>Disabled</AccessMonitor><CreationDate>{bucket.created}</CreationDate>"
        f"<ExtranetEndpoint>{region}.aliyuncs.com</ExtranetEndpoint>"
        f"<IntranetEndpoint>{region}-internal.aliyuncs.com</IntranetEndpoint>"
        f"<Location>{region}</Location><StorageClass>Standard</StorageClass><Name>{bucket.name}</Name>"
        "<BlockPublicAccess>false</BlockPublicAccess>"
        f"{OWNER}<AccessControlList><Grant>{bucket.acl}</Grant></AccessControlList></Bucket></BucketInfo>"
    )


async def get_bucket_location(request: OssRequest) -> web.Response:
    return xml_response(f"<LocationConstraint>oss-{request.bucket.region}</LocationConstraint>")


def region_of_host(host: str) -> str | None:
    """Return the region in a bucket's host name; None for acceleration, custom domains and plain addresses."""
    match = _ENDPOINT.fullmatch(host.partition(":")[0])
    return None if match is None or match[1] in _ACCELERATION else match[1]


def check_endpoint(host: str, bucket: Bucket, operation: Operation) -> None:
    """Raise AccessDenied, with the right endpoint, at the endpoint of another region.

    See: https://help.aliyun.com/zh/oss/user-guide/http-status-code-403
    """
    region = region_of_host(host)
    if region not in (None, bucket.region) and operation.name != "GetBucketInfo":
        message = (
            "The bucket you are attempting to access must be addressed using the specified endpoint. "
            "Please send all future requests to this endpoint."
        )
        endpoint = ("Endpoint", f"oss-{bucket.region}.aliyuncs.com")
        raise OssError(403, "AccessDenied", message, "0003-00001403", more=(("Bucket", bucket.name), endpoint))


def check_public_endpoint(host: str, bucket: Bucket, operation: Operation) -> None:
    """Raise PublicEndpointForbidden for an operation on objects at a public endpoint of the Chinese mainland.

    OSS does so for accounts that are new since 2025-03-20. A plain address counts as the default public endpoint.
    See: https://help.aliyun.com/zh/oss/user-guide/access-buckets-via-custom-domain-names
    """
    is_mainland = bucket.region.startswith("cn-") and bucket.region != "cn-hongkong"
    is_other_endpoint = "-internal." in host or _ACCELERATED.search(host) is not None
    if is_mainland and operation.transfers_data and not is_other_endpoint:
        message = "Not allowed using the OSS public endpoint, please use CNAME instead."
        raise OssError(400, "PublicEndpointForbidden", message, "0048-00000401")
