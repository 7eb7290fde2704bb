"""SIGTERM and SIGINT stop the process. SIGHUP reloads the definitions, or stops a process that has a terminal."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from signer.server.exit_deadline import ExitDeadline

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CLOSE_SECONDS = 20.0
"""How long everything may take that follows the drain. With the drain it is less than systemd waits, which is 30 s."""
_SKIP_SECONDS = 5.0


class Signals:
    """The signals that a process received, as events of the event loop.

    `reload` runs for each SIGHUP. With None, SIGHUP stops the process: a terminal that is closed sends it.
    """

    def __init__(
        self,
        reload: Callable[[], Coroutine[Any, Any, None]] | None,
        *,
        drain_seconds: float = 0.0,
        deadline: ExitDeadline,
    ) -> None:
        self.stop = asyncio.Event()
        """Set by SIGTERM and SIGINT."""
        self.skip_drain = asyncio.Event()
        """Set by SIGINT, and by a second SIGTERM: open connections are closed at once."""
        self.stop_signal = ""
        self._reload = reload
        self._drain_seconds = drain_seconds
        self._deadline = deadline
        self._reloads: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def handlers(self) -> Iterator[None]:
        """Handle the signals during the block."""
        loop = asyncio.get_running_loop()
        try:
            for number in _STOP_SIGNALS:
                loop.add_signal_handler(number, self._stop, number)
            if self._reload is None:
                loop.add_signal_handler(signal.SIGHUP, self._stop, signal.SIGHUP)
            else:
                loop.add_signal_handler(signal.SIGHUP, self._start_reload, self._reload)
        except (NotImplementedError, AttributeError):
            # The event loops of Windows have no signal handlers, and there is no SIGHUP.
            for number in _STOP_SIGNALS:
                signal.signal(
                    number, lambda received, _frame: loop.call_soon_threadsafe(self._stop, signal.Signals(received))
                )
            yield
            return
        try:
            yield
        finally:
            for number in (*_STOP_SIGNALS, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _stop(self, number: signal.Signals) -> None:
        if self.stop.is_set() or number is signal.SIGINT:
            self._deadline.start(_SKIP_SECONDS)
            self.skip_drain.set()
        else:
            self._deadline.start(self._drain_seconds + _CLOSE_SECONDS)
        self.stop_signal = self.stop_signal or number.name
        self.stop.set()

    def _start_reload(self, reload: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.create_task(reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)
