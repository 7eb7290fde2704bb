"""ListBuckets, PutBucket and GetBucketAcl.

See: https://help.aliyun.com/zh/oss/developer-reference/listbuckets, .../putbucket and .../getbucketacl
"""

from __future__ import annotations

import re
from dataclasses import replace

from aiohttp import web

from localcloud.listing import limit, page_of
from localcloud.oss_errors import OssError, invalid_argument, malformed_xml, not_implemented
from localcloud.oss_request import OssRequest
from localcloud.oss_xml import elements, parse_xml, read_body, xml_response
from localcloud.ownership import OWNER, access_control_policy
from localcloud.public_access import WRITABLE
from localcloud.world import Bucket, World

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_ACLS = ("private", "public-read")
_MAX_BODY_BYTES = 64 * 1024


async def list_buckets(world: World, request: OssRequest) -> web.Response:
    """List the buckets of the only account by name."""
    query = request.query
    prefix, marker, most = query.get("prefix", ""), query.get("marker", ""), limit(query, "max-keys", 100)
    behind = ((name, world.buckets[name]) for name in sorted(world.buckets) if name > marker)
    page = page_of(behind, most=most, prefix=prefix, delimiter="", after=marker)
    paging = {"Prefix": prefix, "Marker": marker, "MaxKeys": most, "IsTruncated": page.is_truncated}
    if page.is_truncated:
        paging["NextMarker"] = page.entries[-1].name
    listed = "".join(map(_bucket, page.entries))
    return xml_response(
        f"<ListAllMyBucketsResult>{elements(paging)}{OWNER}<Buckets>{listed}</Buckets></ListAllMyBucketsResult>"
    )


def _bucket(bucket: Bucket) -> str:
    region = f"oss-{bucket.region}"
    members = elements(
        {
            "CreationDate": bucket.created,
            "ExtranetEndpoint": f"{region}.aliyuncs.com",
            "IntranetEndpoint": f"{region}-internal.aliyuncs.com",
            "Location": region,
            "Name": bucket.name,
            "Region": bucket.region,
            "StorageClass": "Standard",
        }
    )
    return f"<Bucket>{members}</Bucket>"


async def put_bucket(world: World, request: OssRequest) -> web.Response:
    """Create a bucket in the region of the signature, or change the ACL of an own one."""
    known = world.buckets.get(request.bucket.name, request.bucket)
    acl = request.headers.get("x-oss-acl", known.acl)
    if acl == WRITABLE:
        raise not_implemented("The ACL public-read-write of a bucket", "x-oss-acl")
    if acl not in _ACLS:
        raise invalid_argument("no such bucket access control exists", "0015-00000204", "x-oss-acl", acl)
    body = await read_body(request.http, _MAX_BODY_BYTES)
    if body:
        for child in parse_xml(body, "CreateBucketConfiguration"):
            if child.tag not in ("StorageClass", "DataRedundancyType"):
                raise malformed_xml()
            if (child.text or "").strip() not in ("Standard", "LRS"):
                raise not_implemented(f"{child.tag} {child.text} of a bucket", child.tag)
    world.buckets[known.name] = replace(known, acl=acl)
    return web.Response(headers={"Location": f"/{known.name}"})


def new_bucket(name: str, region: str) -> Bucket:
    """Return the bucket that PutBucket creates. Raise InvalidBucketName."""
    if not _NAME.fullmatch(name):
        raise OssError(400, "InvalidBucketName", "The specified bucket is not valid.", "0015-00000001")
    return Bucket(name, region)


async def get_bucket_acl(request: OssRequest) -> web.Response:
    return access_control_policy(request.bucket.acl)
