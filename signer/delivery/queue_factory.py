"""Open the queue that `server.callback_queue` names."""

from pathlib import Path

from signer.delivery.queue import DEFAULT_MAX_EVENTS, CannotOpenQueue, EventQueue
from signer.delivery.sqlite_queue import SqliteQueue
from signer.redis_url import is_redis_url


def open_queue(address: str, *, lease_seconds: float, max_events: int = DEFAULT_MAX_EVENTS) -> EventQueue:
    """Return the queue of a file path, or of a Redis URL such as `redis://host:6379/0`.

    A claim keeps other processes from an event for `lease_seconds`. Raises `CannotOpenQueue`.
    """
    if is_redis_url(address):
        # The Redis client takes long to import, and most installations do not use it.
        from signer.delivery.redis_queue import RedisQueue

        return RedisQueue(address, lease_seconds=lease_seconds, max_events=max_events)
    if "://" in address or not address:
        raise CannotOpenQueue(
            "the callback queue is not a file path or Redis URL; write one such as redis://host:6379/0"
        )
    return SqliteQueue.open(Path(address), lease_seconds=lease_seconds, max_events=max_events)
