"""STS's errors: JSON with Code, Message, RequestId, HostId (help pages `AssumeRole` and `STS error codes`)."""

from __future__ import annotations

from aiohttp import web


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def refusal_response(error: Refused, request_id: str, host: str) -> web.Response:
    answer = {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}&product=Sts&requestId={request_id}",
    }
    return web.json_response(answer, status=error.status, headers={"x-acs-request-id": request_id})
