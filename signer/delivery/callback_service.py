"""Run all parts that receive callbacks and deliver their events, for as long as the service runs."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.callback_signature import CallbackVerifier
from signer.delivery.deliverer import TIMEOUT_SECONDS, Deliverer
from signer.delivery.public_keys import PublicKeys
from signer.delivery.queue import DEFAULT_MAX_EVENTS
from signer.delivery.queue_factory import open_queue
from signer.delivery.receiver import CallbackReceiver
from signer.outbound import OutboundSessions
from signer.signing.callback_field import CallbackProof


@contextlib.asynccontextmanager
async def callback_service(
    outbound: OutboundSessions,
    *,
    queue_address: str | None,
    target_of: Callable[[str], NotifyTarget | None],
    limit: Callable[[str, CallbackProof | None], Awaitable[object]],
    audit: Callable[[dict[str, object]], None],
    count_callback: Callable[[str, str], None],
    count_attempt: Callable[[str], None],
    extra_key_url: str | None = None,
    max_events: int = DEFAULT_MAX_EVENTS,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> AsyncIterator[tuple[CallbackReceiver, Callable[[], int]]]:
    """Yield the receiver, and a function that returns how many events wait. Events are delivered inside the block.

    Args:
        queue_address: A file path or a Redis URL; None where no app has a `notify`.
        timeout_seconds: The time limit of one delivery attempt; a claim is leased for twice as long.

    Raises:
        CannotOpenQueue: The queue address is not valid, or the file cannot be opened.

    See: `CallbackReceiver`, `Deliverer` and `CallbackVerifier` for the others.
    """
    async with contextlib.AsyncExitStack() as stack:
        keys = PublicKeys(outbound.oss_keys)
        stack.push_async_callback(keys.close)
        verifier = CallbackVerifier(keys, extra_key_url=extra_key_url)
        if queue_address is None:
            yield CallbackReceiver(verifier, None, limit=limit, audit=audit, count_callback=count_callback), lambda: 0
            return
        queue = await open_queue(queue_address, lease_seconds=2 * timeout_seconds, max_events=max_events)
        stack.push_async_callback(queue.close)
        deliverer = Deliverer(
            queue, outbound.notify, target_of, count_attempt=count_attempt, timeout_seconds=timeout_seconds
        )
        deliverer.start()
        stack.push_async_callback(deliverer.stop)
        receiver = CallbackReceiver(
            verifier, queue, wake_deliverer=deliverer.wake, limit=limit, audit=audit, count_callback=count_callback
        )
        yield receiver, queue.depth
