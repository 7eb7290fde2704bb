"""Step `redis`: does the Redis of `limits` or of the callback queue respond."""

from urllib.parse import urlsplit

import redis.asyncio

from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import HttpProbe
from signer.redis_errors import RedisCommandRejected, RedisLoginRejected, RedisUnavailable, run_command

SCHEMES = ("redis://", "rediss://", "unix://")


async def check_redis(http: HttpProbe, key: str, url: str) -> Finding:
    """Ping the Redis at `url`, which the definitions hold at `key`. The URL may hold a password and is not shown."""
    split = urlsplit(url)
    location = split.path if split.scheme == "unix" else split.netloc.rpartition("@")[2]
    subject = Subject("redis", f"{key} ({location})")
    seconds = http.timeout_seconds
    try:
        client = redis.asyncio.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
    except ValueError:
        return subject.failed("is not the URL of a Redis", f"write {key} as redis://host:6379/0")
    try:
        await run_command(client.ping(), deadline_seconds=seconds)
    except RedisLoginRejected:
        return subject.failed("rejects the user or the password", f"correct the password in {key}")
    except RedisCommandRejected as error:
        return subject.failed(f"does not accept commands: {error}", f"correct {key}: user, password, database")
    except RedisUnavailable as error:
        fix = f"start it, or correct {key}; check the connection from this machine: redis-cli -u URL ping"
        return subject.failed(f"does not respond: {error}", fix)
    finally:
        await client.aclose()
    return subject.ok("responds")
