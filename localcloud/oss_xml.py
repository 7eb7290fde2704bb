"""Builds the XML bodies of responses, and reads those of requests."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import md5
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.oss_errors import OssError, malformed_xml


def elements(values: Mapping[str, object]) -> str:
    """Return one element for each value that is not None."""
    return "".join(f"<{name}>{_text(value)}</{name}>" for name, value in values.items() if value is not None)


def xml_response(text: str, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a response with this document."""
    return web.Response(
        text=f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n', content_type="application/xml", headers=headers
    )


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """Return the body. Raise EntityTooLarge, or InvalidDigest if it does not match its Content-MD5."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            raise OssError(400, "EntityTooLarge", "Your request body exceeds the maximum allowed size.")
    content_md5 = base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
    if request.headers.get("Content-MD5", content_md5) != content_md5:
        raise OssError(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
    return bytes(body)


def parse_xml(body: bytes, root: str, ec: str = "") -> ElementTree.Element:
    """Return the root element. Raise MalformedXML if the body is not XML, or has another root."""
    try:
        found = ElementTree.fromstring(body)  # noqa: S314 (expat limits the expansion of entities)
    except ElementTree.ParseError:
        raise malformed_xml(ec) from None
    for element in found.iter():
        # SDKs that speak to Amazon S3 too send its namespace.
        element.tag = element.tag.rpartition("}")[2]
    if found.tag != root:
        raise malformed_xml(ec)
    return found


def oss_time(iso_text: str) -> str:
    """Return a time with the milliseconds that OSS writes: `2012-02-23T07:01:34.000Z`."""
    return iso_text.removesuffix("Z") + ".000Z"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else escape(str(value))
