"""What holds for every request: its id, its problem body, its headers, its one line in the log."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web

from signer.errors import Problem
from signer.web.keys import KNOWN_APP, REQUEST_ID, REVISION, SERVICE
from signer.web.problems import from_http, problem_response

log = logging.getLogger("oss_signer.request")


_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def every_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    started = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    request_id = request[REQUEST_ID] = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    request[REVISION] = request.app[SERVICE].current
    code = None
    try:
        response = await handler(request)
    except Problem as problem:
        code = problem.code
        response = problem_response(problem, request_id)
    except web.HTTPException as error:
        refusal = from_http(error)
        if refusal is None:
            raise
        code = refusal.code
        response = problem_response(refusal, request_id)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except Exception:
        # The traceback goes to the log without values; the caller learns only the request id.
        code = Problem.code
        log.exception("internal error", extra={"request_id": request_id})
        response = problem_response(Problem(), request_id)
    response.headers["X-Request-Id"] = request_id
    response.headers["Cache-Control"] = "no-store"
    seconds = time.perf_counter() - started
    request.app[SERVICE].metrics.answered(seconds)
    log.info(
        "request",
        extra={
            "request_id": request_id,
            "method": request.method,
            "path": request.path[:256],
            "app": request.get(KNOWN_APP),
            "status": response.status,
            "code": code,
            "milliseconds": round(seconds * 1000, 2),
            "address": request.remote,
        },
    )
    return response
