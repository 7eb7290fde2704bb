"""Problems as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from aiohttp import web

from signer.errors import InvalidRequest, MethodNotAllowed, NotFound, Problem, TooLarge


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
    if problem.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(problem.retry_after_seconds)
    return response


def from_http(error: web.HTTPException) -> Problem | None:
    """What aiohttp itself refuses, in our words; None for what is no refusal."""
    if isinstance(error, web.HTTPNotFound):
        return NotFound("no such address here; see the HTTP reference")
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(f"use {' or '.join(sorted(error.allowed_methods))}")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge("the request body is too large; send only the wish, the file goes to OSS")
    if 400 <= error.status < 500:
        return InvalidRequest("this is no request we understand")
    return None
