"""One error for every way in which a call to Redis can fail."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from redis import exceptions

T = TypeVar("T")


class RedisUnavailable(Exception):
    """A call to Redis failed; the text gives the reason and quotes nothing that was sent or received."""


class RedisUnreachable(RedisUnavailable):
    """The connection, or its TLS handshake, failed."""


class RedisLoginRejected(RedisUnavailable):
    """Redis rejected the user name or the password, or requires one."""


class RedisCommandRejected(RedisUnavailable):
    """Redis responded with an error."""


class RedisPermissionDenied(RedisCommandRejected):
    """The Redis user must not run this command."""


async def run_command(command: Awaitable[T], *, deadline_seconds: float) -> T:
    """Await a command of redis-py, or raise `RedisUnavailable` if it fails or does not complete within the deadline.

    An error text of Redis can repeat arguments of the command, and so a password: only its error code is kept.
    """
    try:
        async with asyncio.timeout(deadline_seconds):
            return await command
    except exceptions.AuthenticationError:
        raise RedisLoginRejected("the Redis user name or password is wrong or missing") from None
    except exceptions.NoPermissionError:
        raise RedisPermissionDenied("the Redis user lacks a permission") from None
    except (exceptions.TimeoutError, TimeoutError):
        raise RedisUnavailable(f"Redis did not respond within {deadline_seconds:g} s") from None
    except (exceptions.ConnectionError, OSError) as error:
        raise RedisUnreachable(f"Redis cannot be reached ({type(error).__name__})") from None
    except exceptions.RedisError as error:
        code = str(error).partition(" ")[0]
        reason = code if code.isalpha() and code.isupper() else type(error).__name__
        raise RedisCommandRejected(f"Redis rejected the command ({reason})") from None
