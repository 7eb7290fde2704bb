"""Chooses the limiter: token buckets in this process, or in Redis."""

from signer.limits.local_limiter import LocalLimiter
from signer.limits.token_bucket import Limiter


def new_limiter(redis_url: str | None) -> Limiter:
    """Return the limiter that several signers share through Redis, or without a URL one for this process."""
    if redis_url is None:
        return LocalLimiter()
    # The Redis client takes longer to import than the rest of the limits, and most deployments need none.
    from signer.limits.redis_limiter import RedisLimiter

    return RedisLimiter(redis_url)
