"""One error for every way in which a call to Redis can fail."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from redis import exceptions

T = TypeVar("T")

_DEADLINE_STEPS = 5
_DENIED_IN_A_SCRIPT = ("The user executing the script can't", "ACL failure in script")
"""The errors of Redis 6, and of Redis 7 and newer, for a command of a script that the user must not run."""


class RedisUnavailable(Exception):
    """A call to Redis failed; the text gives the reason and quotes nothing that was sent or received."""


class RedisUnreachable(RedisUnavailable):
    """The connection, or its TLS handshake, failed."""


class RedisLoginRejected(RedisUnavailable):
    """Redis rejected the user name or the password, or requires one."""


class RedisNotMaster(RedisUnavailable):
    """The server is a replica, or another node of a cluster has the key: nothing was executed."""


class RedisCommandRejected(RedisUnavailable):
    """Redis responded with an error."""


class RedisPermissionDenied(RedisCommandRejected):
    """The Redis user must not run this command."""


class NoMasterFound(exceptions.ConnectionError):
    """The sentinels name no master; the text is constant."""


async def run_command(command: Awaitable[T], *, deadline_seconds: float) -> T:
    """Await a command of redis-py, or raise `RedisUnavailable` if it fails or does not complete within the deadline.

    An error text of Redis can repeat arguments of the command, and so a password: only its error code is kept.
    """
    try:
        return await _within(command, deadline_seconds)
    except exceptions.AuthenticationError:
        raise RedisLoginRejected("the Redis user name or password is wrong or missing") from None
    except exceptions.NoPermissionError:
        raise RedisPermissionDenied("the Redis user lacks a permission") from None
    except (exceptions.TimeoutError, TimeoutError):
        raise RedisUnavailable(f"Redis did not respond within {deadline_seconds:g} s") from None
    except NoMasterFound as error:
        raise RedisUnreachable(str(error)) from None
    except (exceptions.ConnectionError, OSError) as error:
        raise RedisUnreachable(f"Redis cannot be reached ({type(error).__name__})") from None
    except exceptions.RedisError as error:
        if is_from_wrong_server(error):
            raise RedisNotMaster("this Redis is a replica or a part of a cluster, and accepts no writes") from None
        if any(text in str(error) for text in _DENIED_IN_A_SCRIPT):
            raise RedisPermissionDenied("the Redis user lacks a permission") from None
        code = str(error).partition(" ")[0]
        reason = code if code.isalpha() and code.isupper() else type(error).__name__
        raise RedisCommandRejected(f"Redis rejected the command ({reason})") from None


def is_from_wrong_server(error: Exception) -> bool:
    """Return whether a server rejected a command, unexecuted, because another server should get it.

    See: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ and the option
    `min-replicas-to-write` of https://redis.io/docs/latest/operate/oss_and_stack/management/replication/
    """
    if isinstance(error, exceptions.ReadOnlyError | exceptions.AskError | exceptions.ClusterDownError):
        return True
    # Before version 7, the code of an error in a script is not at the beginning.
    return isinstance(error, exceptions.ResponseError) and any(
        code in str(error) for code in ("READONLY", "NOREPLICAS")
    )


async def _within(command: Awaitable[T], deadline_seconds: float) -> T:
    """Await a command, or cancel it after the deadline and raise `TimeoutError`.

    The deadline consists of steps: in each of them, a busy event loop reads once what Redis has sent.
    """
    task = asyncio.ensure_future(command)
    try:
        for _ in range(_DEADLINE_STEPS):
            await asyncio.wait([task], timeout=deadline_seconds / _DEADLINE_STEPS)
            if task.done():
                return task.result()
        raise TimeoutError
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
