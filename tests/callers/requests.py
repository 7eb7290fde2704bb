"""Build request contexts, and check what a caller check makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from signer.callers.caller import Caller, CallerCheck
from signer.errors import Problem
from signer.request_context import RequestContext


def request(*headers: tuple[str, str], code: str | None = None) -> RequestContext:
    return RequestContext(CIMultiDict(headers), "192.0.2.7", code)


def bearer_request(token: str) -> RequestContext:
    return request(("Authorization", f"Bearer {token}"))


async def caller_id(check: CallerCheck, context: RequestContext) -> str | None:
    return (await check.identify(context)).id


async def session_of(check: CallerCheck, context: RequestContext) -> str:
    """Return the session token of the response."""
    found: Caller = await check.identify(context)
    assert found.session is not None
    return found.session.token


async def assert_rejected(check: CallerCheck, context: RequestContext, kind: type[Problem], *words: str) -> Any:
    """Assert that the check raises this type of problem with these words in its text, and return it."""
    with pytest.raises(Problem) as raised:
        await check.identify(context)
    problem = raised.value
    assert isinstance(problem, kind), problem.detail
    for word in words:
        assert word in problem.detail, problem.detail
    return problem


async def admit_all(_context: RequestContext[Any, Any]) -> None:
    """Admit every login."""
