"""DeleteMultipleObjects.

See: https://help.aliyun.com/zh/oss/developer-reference/deletemultipleobjects
"""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

from aiohttp import web

from localcloud.addressing import check_key
from localcloud.listing import encoder
from localcloud.objects import Objects
from localcloud.oss_errors import OssError, malformed_xml, not_implemented
from localcloud.oss_request import OssRequest
from localcloud.oss_xml import elements, parse_xml, read_body, xml_response

_MAX_OBJECTS = 1000
_MAX_BODY_BYTES = 2 * 2**20


async def delete_multiple_objects(objects: Objects, request: OssRequest) -> web.Response:
    """Delete the listed keys, of which none need exist. Unless it is quiet, return them."""
    encode, encoding = encoder(request.query)
    if "Content-MD5" not in request.headers:
        message = "Missing Some Required Arguments. The request misses Content-MD5."
        raise OssError(400, "MissingArgument", message, "0016-00000606")
    root = parse_xml(await read_body(request.http, _MAX_BODY_BYTES), "Delete")
    listed = root.findall("Object")
    quiet = root.findtext("Quiet", "false").lower()
    if not 1 <= len(listed) <= _MAX_OBJECTS or quiet not in ("true", "false"):
        raise malformed_xml()
    if {child.tag for child in root} - {"Object", "Quiet"}:
        raise malformed_xml()
    if any(each.find("VersionId") is not None for each in listed):
        raise not_implemented("The element VersionId of DeleteMultipleObjects", "VersionId")
    keys = [each.findtext("Key") or "" for each in listed]
    if encoding:
        keys = [unquote(key) for key in keys]
    if not all(keys):
        raise malformed_xml()
    for key in keys:
        check_key(key)
    if request.signer is not None:
        for key in keys:
            request.signer.check_permission("oss:DeleteObject", request.bucket.name, key)
    for key in keys:
        await asyncio.to_thread(objects.delete, request.bucket.name, key)
    if quiet == "true":
        return web.Response()
    deleted = "".join(f"<Deleted>{elements({'Key': encode(key)})}</Deleted>" for key in keys)
    return xml_response(f"<DeleteResult>{elements({'EncodingType': encoding})}{deleted}</DeleteResult>")
