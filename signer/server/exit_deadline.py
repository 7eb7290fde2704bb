"""Ends the process when its shutdown takes too long, because a thread or a peer hangs."""

import logging
import os
import threading
from collections.abc import Callable

from signer.telemetry.logs import current_handler

log = logging.getLogger("oss_signer")


class ExitDeadline:
    """A time limit for the rest of the process. It does not depend on the event loop or on any other thread."""

    def __init__(self, exit_process: Callable[[int], object] = os._exit) -> None:
        self._exit_process = exit_process
        self._timer: threading.Timer | None = None

    def start(self, seconds: float, status: int = 0) -> None:
        """End the process with this status after this many seconds; a later call replaces an earlier one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, self._end, [status])
        self._timer.daemon = True
        self._timer.start()

    def _end(self, status: int) -> None:
        names = sorted(thread.name for thread in threading.enumerate() if thread is not threading.current_thread())
        log.critical("shutdown timed out", extra={"threads": names, "exit_status": status})
        if (handler := current_handler()) is not None:
            handler.lines.flush()
            handler.lines.close()
        self._exit_process(status)
