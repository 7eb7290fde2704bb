"""Problems as `application/problem+json`."""

import orjson

from signer.errors import Problem
from signer.http.reply import PROBLEM, Reply


def problem_reply(problem: Problem, request_id: str) -> Reply:
    """Return the reply for a problem.

    See: https://www.rfc-editor.org/rfc/rfc9457
    """
    document = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
    }
    if not problem.detail:
        del document["detail"]
    return Reply(problem.status, orjson.dumps(document), PROBLEM)
