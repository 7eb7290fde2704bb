"""What the signals do: SIGTERM ends the process politely, SIGINT and a second one at once, SIGHUP reloads."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator


class Signals:
    """Make it in the event loop."""

    def __init__(self, reload: Callable[[], Awaitable[object]]) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        """Set when whoever ends us does not want to wait."""
        self.which = ""
        """The signal that ends the process."""
        self._reload = reload
        self._reloads: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Takes the signals inside the block."""
        loop = asyncio.get_running_loop()
        ending = (signal.SIGTERM, signal.SIGINT)
        try:
            for number in ending:
                loop.add_signal_handler(number, self._end, number)
            loop.add_signal_handler(signal.SIGHUP, self._begin_reload)
        except (NotImplementedError, AttributeError):
            # Windows' loops have no signal handlers; Ctrl-C still ends the process.
            for number in ending:
                signal.signal(number, lambda given, _frame: loop.call_soon_threadsafe(self._end, signal.Signals(given)))
            yield
            return
        try:
            yield
        finally:
            for number in (*ending, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _end(self, number: signal.Signals) -> None:
        if self.stop.is_set() or number is signal.SIGINT:
            self.hurry.set()
        self.which = self.which or number.name
        self.stop.set()

    def _begin_reload(self) -> None:
        task: asyncio.Task[None] = asyncio.create_task(self._reload_once())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload_once(self) -> None:
        await self._reload()
