"""Problems as `application/problem+json`."""

import orjson

from signer.errors import Problem
from signer.http.reply import PROBLEM, Reply


def problem_reply(problem: Problem, request_id: str) -> Reply:
    """Return the reply for a problem."""
    return Reply(problem.status, orjson.dumps(problem_document(problem, request_id)), PROBLEM)


def problem_document(problem: Problem, request_id: str) -> dict[str, object]:
    """Return a problem as JSON; `retry_after` is for a problem of one of several files, which has no headers.

    See: https://www.rfc-editor.org/rfc/rfc9457
    """
    document = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        "retry_after": problem.retry_after_seconds,
    }
    for name in ("detail", "retry_after"):
        if not document[name]:
            del document[name]
    return document
