"""What a request shows of who sends it, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from signer.callers.caller import Caller, CallerCheck
from signer.errors import Problem
from signer.request_context import RequestContext


def sent(*headers: tuple[str, str], code: str | None = None) -> RequestContext:
    return RequestContext(CIMultiDict(headers), "192.0.2.7", code)


def bearing(token: str) -> RequestContext:
    return sent(("Authorization", f"Bearer {token}"))


async def caller(check: CallerCheck, context: RequestContext) -> str | None:
    return (await check.identify(context)).id


async def session_of(check: CallerCheck, context: RequestContext) -> str:
    """The session that the answer holds."""
    found: Caller = await check.identify(context)
    assert found.session is not None
    return found.session.token


async def refused(check: CallerCheck, context: RequestContext, kind: type[Problem], *words: str) -> Any:
    """It raises exactly this kind of problem, in these words."""
    with pytest.raises(Problem) as raised:
        await check.identify(context)
    problem = raised.value
    assert type(problem) is kind, problem.detail
    for word in words:
        assert word in problem.detail, problem.detail
    return problem
