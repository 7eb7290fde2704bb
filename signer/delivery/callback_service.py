"""Run all parts that receive callbacks and deliver their events, for as long as the service runs."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.callback_signature import CallbackVerifier
from signer.delivery.deliverer import TIMEOUT_SECONDS, Deliverer
from signer.delivery.public_keys import PublicKeys
from signer.delivery.queue import DEFAULT_MAX_EVENTS, EventQueue
from signer.delivery.queue_factory import open_queue
from signer.delivery.queue_health import QueueHealth
from signer.delivery.receiver import CallbackReceiver
from signer.outbound import OutboundSessions
from signer.signing.callback_field import CallbackProof


@dataclass(frozen=True, slots=True)
class CallbackQueue:
    """The queue of a running service, for its admin routes and metrics."""

    events: EventQueue
    health: QueueHealth
    deliver_soon: Callable[[], None]
    """Call it after an event was added."""


@contextlib.asynccontextmanager
async def callback_service(
    outbound: OutboundSessions,
    *,
    queue_address: str | None,
    target_of: Callable[[str], NotifyTarget | None],
    limit: Callable[[str, CallbackProof | None], Awaitable[object]],
    audit: Callable[[dict[str, object]], None],
    count_callback: Callable[[str, str], None],
    count_outcome: Callable[[str], None],
    extra_key_url: str | None = None,
    max_events: int = DEFAULT_MAX_EVENTS,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> AsyncIterator[tuple[CallbackReceiver, CallbackQueue | None]]:
    """Yield the receiver and the queue. Events are delivered inside the block.

    Args:
        queue_address: A file path or a Redis URL; None where no app has a `notify`.
        timeout_seconds: The time limit of one delivery attempt; a claim is leased for twice as long.

    Raises:
        CannotOpenQueue: The queue address is not valid.

    See: `CallbackReceiver`, `Deliverer` and `CallbackVerifier` for the others.
    """
    async with contextlib.AsyncExitStack() as stack:
        keys = PublicKeys(outbound.oss_keys)
        stack.push_async_callback(keys.close)
        verifier = CallbackVerifier(keys, extra_key_url=extra_key_url)
        if queue_address is None:
            yield CallbackReceiver(verifier, None, limit=limit, audit=audit, count_callback=count_callback), None
            return
        health = QueueHealth()
        queue = open_queue(queue_address, lease_seconds=2 * timeout_seconds, max_events=max_events)
        stack.push_async_callback(queue.close)
        deliverer = Deliverer(
            queue,
            outbound.notify,
            target_of,
            health=health,
            count_outcome=count_outcome,
            timeout_seconds=timeout_seconds,
        )
        deliverer.start()
        stack.push_async_callback(deliverer.stop)
        receiver = CallbackReceiver(
            verifier,
            queue,
            health=health,
            wake_deliverer=deliverer.wake,
            limit=limit,
            audit=audit,
            count_callback=count_callback,
        )
        yield receiver, CallbackQueue(queue, health, deliverer.wake)
