"""Errors of OSS, as XML.

See: https://help.aliyun.com/zh/oss/developer-reference/error-responses
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from aiohttp import web


class OssError(Exception):
    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        ec: str = "",
        *,
        argument: tuple[str, str] | None = None,
        more: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.ec, self.argument = status, code, message, ec, argument
        self.more = more


def invalid_argument(message: str, ec: str, name: str, value: str = "") -> OssError:
    return OssError(400, "InvalidArgument", message, ec, argument=(name, value))


def denied(message: str, ec: str) -> OssError:
    return OssError(403, "AccessDenied", message, ec)


def malformed_xml(ec: str = "") -> OssError:
    message = "The XML you provided was not well-formed or did not validate against our published schema."
    return OssError(400, "MalformedXML", message, ec)


def not_implemented(subject: str, name: str) -> OssError:
    """Return the error for what OSS can do and the local cloud cannot."""
    message = f"{subject} is not implemented by the local cloud."
    return OssError(501, "NotImplemented", message, argument=(name, ""))


def error_response(error: OssError, request_id: str, host: str) -> web.Response:
    members = {"Code": error.code, "Message": error.message, "RequestId": request_id, "HostId": host}
    members |= dict(error.more)
    if error.argument is not None:
        members |= {"ArgumentName": error.argument[0], "ArgumentValue": error.argument[1]}
    if error.ec:
        members |= {"EC": error.ec, "RecommendDoc": f"https://api.aliyun.com/troubleshoot?q={error.ec}"}
    body = "".join(f"\n  <{name}>{escape(value)}</{name}>" for name, value in members.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{body}\n</Error>\n'
    # The host and the value of an argument may have bytes that are not UTF-8.
    return web.Response(
        status=error.status, body=text.encode(errors="replace"), content_type="application/xml", charset="utf-8"
    )
