"""One attempt to deliver an event: a signed POST to the app's own server."""

import asyncio
import hmac

import aiohttp

from signer.delivery.app_server import FailedAttempt
from signer.delivery.callback_rules import NotifyTarget
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
    timestamp = str(int(now))
    headers = {
        "Content-Type": "application/json",
        "X-Oss-Signer-Event-Id": claimed.event.id,
        "X-Oss-Signer-Timestamp": timestamp,
        "X-Oss-Signer-Signature": "sha256=" + event_signature(target.secret, timestamp, body),
    }
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


def event_signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of the timestamp, a dot and the body, in hex."""
    return hmac.digest(secret, timestamp.encode() + b"." + body, "sha256").hex()
