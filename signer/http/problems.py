"""Problems as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from signer.errors import Problem
from signer.http.reply import PROBLEM, Reply, json_reply


def problem_reply(problem: Problem, request_id: str) -> Reply:
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
    reply = json_reply(body, problem.status, PROBLEM)
    reply.headers.update(problem.headers)
    if problem.retry_after_seconds is not None:
        reply.headers["Retry-After"] = str(problem.retry_after_seconds)
    return reply
