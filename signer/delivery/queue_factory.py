"""From the address of the callback queue to the queue."""

from __future__ import annotations

from pathlib import Path

from signer.delivery.deliverer import LEASE_SECONDS
from signer.delivery.queue import DEFAULT_MAX_EVENTS, CannotOpenQueue, EventQueue
from signer.delivery.sqlite_queue import SqliteQueue

_REDIS = ("redis://", "rediss://", "unix://")


async def open_queue(
    address: str, *, lease_seconds: float = LEASE_SECONDS, max_events: int = DEFAULT_MAX_EVENTS
) -> EventQueue:
    """A path, for the signers of one machine, or `redis://host:6379/0`. Raises `CannotOpenQueue`."""
    if address.startswith(_REDIS):
        # Redis' client takes long to load, so only where somebody wants it.
        from signer.delivery.redis_queue import RedisQueue

        return RedisQueue(address, lease_seconds=lease_seconds, max_events=max_events)
    if "://" in address or not address:
        raise CannotOpenQueue("the callback queue is the path of a file, or redis://host:6379/0")
    return await SqliteQueue.open(Path(address), lease_seconds=lease_seconds, max_events=max_events)
