"""One mapping of what can go wrong in a call to Redis."""

from __future__ import annotations

import asyncio

import pytest
from redis import exceptions

from signer import redis_errors
from signer.redis_errors import RedisUnavailable, run_command

SECRET = "hunter2-secret"


async def command(error: BaseException | None) -> str:
    if error is not None:
        raise error
    return "result"


async def test_a_result_is_returned() -> None:
    assert await run_command(command(None), deadline_seconds=10) == "result"


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            exceptions.AuthenticationError(SECRET),
            redis_errors.RedisLoginRejected,
            "the Redis user name or password is wrong or missing",
        ),
        (
            exceptions.NoPermissionError(SECRET),
            redis_errors.RedisPermissionDenied,
            "the Redis user lacks a permission",
        ),
        (exceptions.TimeoutError(SECRET), RedisUnavailable, "Redis did not respond within 10 s"),
        (
            exceptions.ConnectionError(SECRET),
            redis_errors.RedisUnreachable,
            "Redis cannot be reached (ConnectionError)",
        ),
        (OSError(SECRET), redis_errors.RedisUnreachable, "Redis cannot be reached (OSError)"),
        (
            exceptions.ResponseError(f"WRONGTYPE {SECRET}"),
            redis_errors.RedisCommandRejected,
            "Redis rejected the command (WRONGTYPE)",
        ),
        (
            exceptions.ResponseError(f"{SECRET} x"),
            redis_errors.RedisCommandRejected,
            "Redis rejected the command (ResponseError)",
        ),
    ],
)
async def test_each_failure_has_one_error_without_the_text_of_redis(
    error: Exception, kind: type[RedisUnavailable], text: str
) -> None:
    with pytest.raises(RedisUnavailable) as raised:
        await run_command(command(error), deadline_seconds=10)
    assert (type(raised.value), str(raised.value)) == (kind, text)
    assert raised.value.__cause__ is None


async def test_a_command_without_a_response_ends_at_the_deadline() -> None:
    with pytest.raises(RedisUnavailable, match=r"did not respond within 0\.01 s"):
        await run_command(asyncio.Event().wait(), deadline_seconds=0.01)


async def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(KeyError):
        await run_command(command(KeyError()), deadline_seconds=10)
