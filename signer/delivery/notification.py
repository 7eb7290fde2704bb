"""One attempt to deliver an event: a signed POST to the app's own server."""

import asyncio

import aiohttp

from signer.delivery.app_server import FailedAttempt
from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.event_signature import signature_headers
from signer.delivery.queue import ClaimedEvent

_TOO_MANY_REQUESTS = 429
_LATE_MEMBER = b',"late":true}'


async def send_event(
    session: aiohttp.ClientSession,
    target: NotifyTarget | None,
    claimed: ClaimedEvent,
    *,
    timeout_seconds: float,
    now: float,
) -> FailedAttempt | None:
    """Post the event without following redirects, and return how that failed, or None.

    Args:
        target: None if the app has no server any more.
        now: The time of the attempt, in epoch seconds.
    """
    if target is None:
        return FailedAttempt("callback.notify of the app is no longer set")
    body = claimed.event.body
    if claimed.is_late:
        body = body.removesuffix(b"}") + _LATE_MEMBER
    signature = signature_headers(target.key, event_id=claimed.event.id, timestamp=str(int(now)), body=body)
    headers = {"Content-Type": "application/json", **signature}
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            session.post(target.url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            status = response.status
    except TimeoutError:
        return FailedAttempt(f"no response within {timeout_seconds:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return FailedAttempt(type(error).__name__)
    if 200 <= status < 300:
        return None
    return FailedAttempt(f"status {status}", is_rejection=400 <= status < 500 and status != _TOO_MANY_REQUESTS)
