"""What limits the signer's calls to each bucket: a circuit breaker, and a number of calls at a time."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

from cachetools import LRUCache

from signer.circuit_breaker import CircuitBreaker
from signer.credentials.sources.credential_source import FetchFailed
from signer.errors import OssRefused, OssUnavailable
from signer.multipart.oss_results import BucketAddress, OssFailure, TokenRejected

log = logging.getLogger("oss_signer.multipart")

_FAILURES_TO_OPEN = 5
_FIRST_DELAY_SECONDS, _MAX_DELAY_SECONDS = 1.0, 30.0
_CALLS_AT_A_TIME = 64
_MAX_WAITING = 256
"""Further calls to a bucket are refused at once: a client repeats them, and memory does not grow."""
_MAX_BUCKETS = 4096
"""The least recently used ones are forgotten."""


OnCall = Callable[[str, str, float], None]
"""Gets the operation, the outcome and the duration in seconds of a call."""


class _Bucket:
    def __init__(self) -> None:
        self.circuit = CircuitBreaker(
            failure_threshold=_FAILURES_TO_OPEN,
            first_delay_seconds=_FIRST_DELAY_SECONDS,
            max_delay_seconds=_MAX_DELAY_SECONDS,
            jitter=(0.5, 1.0),
        )
        self.slots = asyncio.Semaphore(_CALLS_AT_A_TIME)
        self.waiting = 0


class BucketCalls:
    """The calls to all buckets. A bucket that hangs or fails delays no other one.

    The same bucket at another URL is another one here: an app whose `oss_endpoint` is wrong stops only itself.
    """

    def __init__(self, on_call: OnCall) -> None:
        self._on_call = on_call
        self._buckets: LRUCache[BucketAddress, _Bucket] = LRUCache(maxsize=_MAX_BUCKETS)

    @contextlib.asynccontextmanager
    async def attempt(self, address: BucketAddress, operation: str, deadline_seconds: float) -> AsyncIterator[None]:
        """Run a call to a bucket inside the block; raise `OssUnavailable` if it fails or must not be made now."""
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = _Bucket()
        if bucket.waiting >= _MAX_WAITING:
            self._on_call(operation, "rejected", 0.0)
            raise _overloaded()
        if not bucket.circuit.allow_call():
            self._on_call(operation, "rejected", 0.0)
            raise _unavailable(max(1.0, bucket.circuit.seconds_until_call()))
        bucket.waiting += 1
        try:
            async with asyncio.timeout(deadline_seconds):
                await bucket.slots.acquire()
        except TimeoutError:
            self._on_call(operation, "rejected", 0.0)
            raise _overloaded() from None
        finally:
            bucket.waiting -= 1
        started = time.perf_counter()
        outcome = "cancelled"
        try:
            yield
        except (OssFailure, FetchFailed) as error:
            outcome = "failed"
            was_open = bucket.circuit.is_open
            delay_seconds = bucket.circuit.record_failure()
            if bucket.circuit.is_open and not was_open:
                log.error("OSS unavailable", extra={"bucket": address.bucket, "error": str(error)})
            raise _unavailable(delay_seconds) from None
        except Exception as error:
            outcome = "refused" if isinstance(error, OssRefused | TokenRejected) else "conflict"
            self._record_response(bucket, address.bucket)
            raise
        else:
            outcome = "success"
            self._record_response(bucket, address.bucket)
        finally:
            bucket.slots.release()
            self._on_call(operation, outcome, time.perf_counter() - started)

    def _record_response(self, bucket: _Bucket, name: str) -> None:
        if bucket.circuit.is_open:
            log.info("OSS recovered", extra={"bucket": name})
        bucket.circuit.record_success()


def _unavailable(retry_after_seconds: float) -> OssUnavailable:
    detail = "OSS does not respond to the signer; retry after the seconds in Retry-After"
    return OssUnavailable(detail, retry_after_seconds=retry_after_seconds)


def _overloaded() -> OssUnavailable:
    detail = "too many calls to this bucket wait for OSS; retry after the seconds in Retry-After"
    return OssUnavailable(detail, retry_after_seconds=1.0)
