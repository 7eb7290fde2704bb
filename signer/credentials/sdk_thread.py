"""One thread with an event loop of its own, in which Alibaba's SDKs run.

Their async clients hold a threading.Lock across awaits, build a TLS context in each call and have no total timeout;
here none of that can hold up a request, and a deadline really ends what is late.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from signer.credentials.server_dates import DatedAnswer, noting_dates
from signer.credentials.sources.credential_source import FetchFailed

T = TypeVar("T")

_GRACE_SECONDS = 2.0
"""How much later than the thread itself the caller gives up, should the thread be blocked."""


class SdkThread:
    def __init__(self, observe: Callable[[DatedAnswer], None] = lambda _answer: None) -> None:
        """`observe` is told, in the caller's loop, the date of each answer."""
        self._observe = observe
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        """From the first call on: roles that need no SDK load none."""

    def _serve(self) -> None:
        importlib.import_module("signer.credentials.sdk_patches")
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def run(self, make: Callable[[], Coroutine[Any, Any, T]], *, deadline_seconds: float) -> T:
        """Runs `make()` over there. Raises `FetchFailed` after the deadline, and whatever the SDK raises."""
        answers: list[DatedAnswer] = []

        async def bounded() -> T:
            with noting_dates() as noted:
                try:
                    async with asyncio.timeout(deadline_seconds):
                        return await make()
                finally:
                    answers.extend(noted)

        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="alibabacloud-sdk", daemon=True)
            self._thread.start()
        future = asyncio.run_coroutine_threadsafe(bounded(), self._loop)
        try:
            async with asyncio.timeout(deadline_seconds + _GRACE_SECONDS):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise FetchFailed(f"no answer within {deadline_seconds:g} s") from None
        finally:
            for answer in answers:
                self._observe(answer)

    def close(self) -> None:
        """Cancels what still runs and ends the thread."""
        if self._loop.is_closed():
            return
        if self._thread is not None:
            asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(timeout=_GRACE_SECONDS)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=_GRACE_SECONDS)
        self._loop.close()


async def _cancel_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
