"""What systemd is told of this process (sd_notify(3)), and the watchdog that it keeps (sd_watchdog_enabled(3)).

Where systemd did not start us nobody listens, and every call does nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, MutableMapping

log = logging.getLogger("oss_signer")

_STATUS_SECONDS = 5.0
"""How often the status line is looked at where there is no watchdog to be fed."""
_MICROSECONDS = 1_000_000


class ServiceManager:
    """Make it once in a process: it removes the variables that systemd set, so that no child takes itself for us."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        ours = environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        within = environ.pop("WATCHDOG_USEC", "")
        self._watchdog_seconds = int(within) / _MICROSECONDS if ours and within.isdigit() else 0.0
        self._status = ""

    def ready(self, status: str) -> None:
        """Also the end of a reload."""
        self._status = status
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        # systemd 253 and later want the time, to tell this reload from the one before.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=reloading")

    def stopping(self, status: str) -> None:
        self._status = status
        self._tell("STOPPING=1", f"STATUS={status}")

    def failed(self, status: str) -> None:
        """The last word of a process that ends with an error."""
        self._tell(f"STATUS={status}")

    async def watch(self, status: Callable[[], str]) -> None:
        """Feeds the watchdog and keeps the status line up to date, until it is cancelled.

        It is the event loop that runs this, so that a loop which stands still is killed in its time.
        """
        if not self._address:
            return
        while True:
            told = status()
            news = [f"STATUS={told}"] if told != self._status else []
            self._status = told
            if self._watchdog_seconds:
                news.append("WATCHDOG=1")
            if news:
                self._tell(*news)
            await asyncio.sleep(self._watchdog_seconds / 3 or _STATUS_SECONDS)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the null byte of Linux' abstract names.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("systemd cannot be told", extra={"what": lines[0], "reason": error.strerror})
