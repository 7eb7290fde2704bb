"""Step `redis`: does it answer, where limits or callbacks are kept in one."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import redis.asyncio
import redis.exceptions

from signer.doctor.findings import About, Finding
from signer.doctor.http_probe import Asking

SCHEMES = ("redis://", "rediss://", "unix://")


async def answers(asking: Asking, key: str, url: str) -> Finding:
    """`key` is where the definitions name it. The URL may hold a password and is never told."""
    about = About("redis", f"{key} ({_place(url)})")
    mend = f"start it, or mend {key}: redis-cli -u URL ping; is its port open to this machine?"
    seconds = asking.timeout_seconds
    try:
        client = redis.asyncio.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
    except ValueError:
        return about.failed("is no address of a Redis", f"write {key} like redis://host:6379/0")
    try:
        async with asyncio.timeout(seconds):
            await client.ping()
    except redis.exceptions.AuthenticationError:
        return about.failed("does not take the user or the password", f"mend the password in {key}")
    except redis.exceptions.ResponseError as error:
        return about.failed(f"refuses ({type(error).__name__})", f"mend {key}: user, password, database")
    except TimeoutError:
        return about.failed(f"no answer within {seconds:g} s", mend)
    except (redis.exceptions.RedisError, OSError) as error:
        return about.failed(f"does not answer ({type(error).__name__})", mend)
    finally:
        await client.aclose()
    return about.ok("answers")


def _place(url: str) -> str:
    split = urlsplit(url)
    return split.path if split.scheme == "unix" else split.netloc.rpartition("@")[2]
