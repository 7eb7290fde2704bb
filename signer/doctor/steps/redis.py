"""Step `redis`: does the Redis of `limits` or of the callback queue respond."""

from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import HttpProbe
from signer.redis_client import RedisClient
from signer.redis_errors import RedisCommandRejected, RedisLoginRejected, RedisUnavailable
from signer.redis_url import parse_redis_url


async def check_redis(http: HttpProbe, key: str, text: str) -> Finding:
    """Ping the Redis at a URL, which the definitions hold at `key`. The URL may hold a password and is not shown."""
    url = parse_redis_url(text)
    subject = Subject("redis", f"{key} ({url.place})")
    client = RedisClient(url, max_connections=1)
    try:
        await client.run(lambda redis: redis.ping(), deadline_seconds=http.timeout_seconds)
    except RedisLoginRejected:
        return subject.failed("rejects the user or the password", f"correct the password in {key}")
    except RedisCommandRejected as error:
        return subject.failed(f"does not accept commands: {error}", f"correct {key}: user, password, database")
    except RedisUnavailable as error:
        check = "redis-cli -h HOST -p 26379 sentinel masters" if url.master_name else "redis-cli -u URL ping"
        fix = f"start it, or correct {key}; check the connection from this machine: {check}"
        return subject.failed(f"does not respond: {error}", fix)
    finally:
        await client.close()
    return subject.ok("responds")
