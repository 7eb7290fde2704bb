"""The thread in which Alibaba's SDKs run, with an event loop of its own.

Their async clients hold a threading.Lock while they await, build a TLS context for each call, and have no timeout for
a whole call. In a thread of their own they delay no request, and a deadline ends every call.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from signer.credentials.clock_skew import ServerDate
from signer.credentials.sources.credential_source import FetchFailed

T = TypeVar("T")

_GRACE_SECONDS = 2.0
"""How long the caller waits after the deadline, in case that the thread is blocked."""
_server_dates: ContextVar[list[ServerDate]] = ContextVar("server_dates")
"""The dates of the responses to the current call; each call is a task of its own."""


class SdkThread:
    """Runs coroutines of the SDKs. The thread starts with the first call, so that no SDK is loaded without need."""

    def __init__(
        self, observe: Callable[[ServerDate], None] = lambda _date: None, *, name: str = "alibabacloud-sdk"
    ) -> None:
        self._name = name
        self._observe = observe
        """Gets the Date of each response, in the caller's loop."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    async def run(self, call: Callable[[], Coroutine[Any, Any, T]], *, deadline_seconds: float, service: str) -> T:
        """Await `call()` in the thread and return its result; raise `FetchFailed` at the deadline."""
        dates: list[ServerDate] = []

        async def call_with_deadline() -> T:
            _server_dates.set(dates)
            async with asyncio.timeout(deadline_seconds):
                return await call()

        try:
            loop = self._started_loop()
        except OSError as error:
            reason = f"the thread for Alibaba's SDKs cannot be started ({os.strerror(error.errno or 0).lower()})"
            raise FetchFailed(f"{reason}; raise LimitNOFILE (ulimit -n)", concerns_issuer=True) from None
        future = asyncio.run_coroutine_threadsafe(call_with_deadline(), loop)
        try:
            async with asyncio.timeout(deadline_seconds + _GRACE_SECONDS):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            reason = f"{service} timed out: no response within {deadline_seconds:g} s"
            raise FetchFailed(reason, concerns_issuer=True) from None
        finally:
            for date in dates:
                self._observe(date)

    def _started_loop(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise RuntimeError("the SDK thread is closed")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run_sdk_loop, args=(self._loop,), name=self._name, daemon=True)
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """Cancel the calls under way and end the thread."""
        self._closed = True
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_cancel_other_tasks(), loop).result(timeout=_GRACE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=_GRACE_SECONDS)
        loop.close()


def _run_sdk_loop(loop: asyncio.AbstractEventLoop) -> None:
    # Imported here: the SDKs take longer to load than the rest of the service.
    from signer.credentials.sdk_patches import patch_sdks

    patch_sdks(lambda date: _server_dates.get([]).append(date))
    asyncio.set_event_loop(loop)
    loop.run_forever()


async def _cancel_other_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
