"""Errors of STS, as JSON.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

from __future__ import annotations

from aiohttp import web


class StsError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def refusal_response(error: StsError, request_id: str, host: str) -> web.Response:
    body = {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}&product=Sts&requestId={request_id}",
    }
    return web.json_response(body, status=error.status, headers={"x-acs-request-id": request_id})
