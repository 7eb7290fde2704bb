"""Tags of objects: the header x-oss-tagging, and PutObjectTagging, GetObjectTagging and DeleteObjectTagging.

See: https://help.aliyun.com/zh/oss/developer-reference/putobjecttagging
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import unquote_plus

from aiohttp import web

from localcloud.get_object import find
from localcloud.objects import Objects
from localcloud.oss_errors import OssError, invalid_argument, malformed_xml
from localcloud.oss_request import OssRequest
from localcloud.oss_xml import elements, parse_xml, read_body, xml_response

_MAX_TAGS = 10
_MAX_BODY_BYTES = 64 * 1024
_CHARACTERS = re.compile(r"[A-Za-z0-9 +\-=._:/]*")


def tags_of(request: OssRequest) -> dict[str, str]:
    """Return the tags in the header x-oss-tagging, `name=value&...`, each URL-encoded.

    Raise InvalidTag, or AccessDenied if the signer may not set tags.
    """
    text = request.headers.get("x-oss-tagging", "")
    if text and request.signer is not None:
        request.signer.check_permission("oss:PutObjectTagging", request.bucket.name, request.key)
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    return _checked([(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs])


async def get_object_tagging(objects: Objects, request: OssRequest) -> web.Response:
    tags = find(objects, request.bucket.name, request.key).tags
    listed = "".join(f"<Tag>{elements({'Key': name, 'Value': value})}</Tag>" for name, value in tags.items())
    return xml_response(f"<Tagging><TagSet>{listed}</TagSet></Tagging>")


async def put_object_tagging(objects: Objects, request: OssRequest) -> web.Response:
    root = parse_xml(await read_body(request.http, _MAX_BODY_BYTES), "Tagging")
    listed = root.find("TagSet")
    if listed is None or {child.tag for child in listed} - {"Tag"}:
        raise malformed_xml()
    pairs = [(tag.findtext("Key"), tag.findtext("Value") or "") for tag in listed.findall("Tag")]
    await _set(objects, request, _checked([(name or "", value) for name, value in pairs]))
    return web.Response()


async def delete_object_tagging(objects: Objects, request: OssRequest) -> web.Response:
    await _set(objects, request, {})
    return web.Response(status=204)


async def _set(objects: Objects, request: OssRequest, tags: dict[str, str]) -> None:
    bucket = request.bucket.name
    find(objects, bucket, request.key)
    await asyncio.to_thread(objects.update, bucket, request.key, tags=tags)


def _checked(pairs: list[tuple[str, str]]) -> dict[str, str]:
    tags = dict(pairs)
    if len(pairs) > _MAX_TAGS:
        raise OssError(400, "InvalidTag", "Object tags cannot be greater than 10.")
    if len(tags) < len(pairs):
        raise OssError(400, "InvalidTag", "Cannot provide multiple Tags with the same key.")
    for name, value in pairs:
        if not 1 <= len(name) <= 128 or len(value) > 256:
            raise OssError(400, "InvalidTag", "The length of the tag key or value is invalid.")
        if not _CHARACTERS.fullmatch(name) or not _CHARACTERS.fullmatch(value):
            raise invalid_argument("The tag contains characters that are not allowed.", "", "x-oss-tagging", name)
    return tags
