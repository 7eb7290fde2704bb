"""Step `redis`: does the Redis of `limits` or of the callback queue respond."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import redis.asyncio
import redis.exceptions

from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import HttpProbe

SCHEMES = ("redis://", "rediss://", "unix://")


async def check_redis(http: HttpProbe, key: str, url: str) -> Finding:
    """Ping the Redis at `url`, which the definitions hold at `key`. The URL may hold a password and is not shown."""
    subject = Subject("redis", f"{key} ({_location(url)})")
    fix = f"start it, or correct {key}; check the connection from this machine: redis-cli -u URL ping"
    seconds = http.timeout_seconds
    try:
        client = redis.asyncio.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
    except ValueError:
        return subject.failed("is not the URL of a Redis", f"write {key} as redis://host:6379/0")
    try:
        async with asyncio.timeout(seconds):
            await client.ping()
    except redis.exceptions.AuthenticationError:
        return subject.failed("rejects the user or the password", f"correct the password in {key}")
    except redis.exceptions.ResponseError as error:
        return subject.failed(f"refuses ({type(error).__name__})", f"correct {key}: user, password, database")
    except TimeoutError:
        return subject.failed(f"no response within {seconds:g} s", fix)
    except (redis.exceptions.RedisError, OSError) as error:
        return subject.failed(f"does not respond ({type(error).__name__})", fix)
    finally:
        await client.aclose()
    return subject.ok("responds")


def _location(url: str) -> str:
    split = urlsplit(url)
    return split.path if split.scheme == "unix" else split.netloc.rpartition("@")[2]
