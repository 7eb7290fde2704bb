"""Problems as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from aiohttp import web

from signer.errors import InvalidRequest, Problem, TooLarge


def problem_response(problem: Problem, request_id: str) -> web.Response:
    body = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
    }
    if not problem.detail:
        del body["detail"]
    response = web.json_response(body, status=problem.status, content_type="application/problem+json")
    response.headers.update(problem.headers)
    if problem.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(problem.retry_after_seconds)
    return response


def from_http(error: web.HTTPException) -> Problem:
    """What aiohttp itself refuses, in our words."""
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge("the request body is too large; send only the wish, the file goes to OSS")
    return InvalidRequest("this is no request we understand")
