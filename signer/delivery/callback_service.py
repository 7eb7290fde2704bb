"""All that taking callbacks needs, put together for as long as the service runs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import aiohttp

from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.callback_signature import CallbackVerifier
from signer.delivery.deliverer import TIMEOUT_SECONDS, Deliverer
from signer.delivery.public_keys import PublicKeys
from signer.delivery.queue import DEFAULT_MAX_EVENTS, EventQueue
from signer.delivery.queue_factory import open_queue
from signer.delivery.receiver import CallbackReceiver


@contextlib.asynccontextmanager
async def callback_service(
    outbound: aiohttp.ClientSession,
    *,
    queue_address: str | None,
    target: Callable[[str], NotifyTarget | None],
    audit: Callable[[dict[str, object]], None],
    count: Callable[[str, str], None],
    count_attempt: Callable[[str], None],
    keys_also_below: str | None = None,
    max_events: int = DEFAULT_MAX_EVENTS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    first_retry_seconds: float = 1.0,
) -> AsyncIterator[tuple[CallbackReceiver, Callable[[], int]]]:
    """The receiver, and what tells how many events wait; inside it events are handed on.

    `queue_address` is None where no app has a `notify`. `target` says where an app's events go now. `audit` is given
    one event for each callback that is truly OSS's, `count` the app and what came of a callback, `count_attempt` what
    came of handing an event on. `keys_also_below` is a further URL below which keys may lie, for localcloud. A claim
    holds for twice the timeout. Raises `CannotOpenQueue`.
    """
    async with contextlib.AsyncExitStack() as stack:
        keys = PublicKeys(outbound)
        stack.push_async_callback(keys.close)
        signatures = CallbackVerifier(keys, also_below=keys_also_below)
        queue: EventQueue | None = None
        if queue_address is not None:
            queue = await open_queue(queue_address, lease_seconds=2 * timeout_seconds, max_events=max_events)
            stack.push_async_callback(queue.close)
            notifier = Deliverer(
                queue,
                outbound,
                target,
                count=count_attempt,
                timeout_seconds=timeout_seconds,
                first_retry_seconds=first_retry_seconds,
            )
            stack.push_async_callback(notifier.close)
            yield CallbackReceiver(signatures, queue, wake=notifier.wake, audit=audit, count=count), queue.depth
        else:
            yield CallbackReceiver(signatures, None, audit=audit, count=count), lambda: 0
