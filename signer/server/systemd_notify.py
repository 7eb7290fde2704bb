"""Notify systemd of the state of this process, and feed its watchdog.

See: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html,
https://www.freedesktop.org/software/systemd/man/latest/sd_watchdog_enabled.html
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
"""How often the status is refreshed where there is no watchdog to feed."""
_MICROSECONDS = 1_000_000


class ServiceManager:
    """systemd as seen from one process. Without an address every call does nothing; a watchdog of 0 s is none."""

    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        self._address = address
        self._watchdog_seconds = watchdog_seconds
        self._status = ""

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] = os.environ) -> ServiceManager:
        """Read the variables that systemd set, and remove them so that no child process uses them."""
        address = environ.pop("NOTIFY_SOCKET", "")
        is_for_this_process = environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environ.pop("WATCHDOG_USEC", "")
        has_watchdog = is_for_this_process and microseconds.isdigit()
        return cls(address, int(microseconds) / _MICROSECONDS if has_watchdog else 0.0)

    def ready(self, status: str) -> None:
        """Notify of the end of the start, or of a reload."""
        self._status = status
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Notify of the start of a reload."""
        # systemd 253 and later require the time, to distinguish this reload from the previous one.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=reloading")

    def stopping(self, status: str) -> None:
        """Notify of the start of the shutdown."""
        self._status = status
        self._send("STOPPING=1", f"STATUS={status}")

    def failed(self, status: str) -> None:
        """Leave the reason of an exit with an error in the status."""
        self._send(f"STATUS={status}")

    async def watch(self, status: Callable[[], str]) -> None:
        """Feed the watchdog from the event loop, so that systemd restarts one that hangs, and refresh the status."""
        if not self._address:
            return
        while True:
            previous, self._status = self._status, status()
            lines = [f"STATUS={self._status}"] if self._status != previous else []
            self._send(*lines, *(["WATCHDOG=1"] if self._watchdog_seconds else []))
            await asyncio.sleep(self._watchdog_seconds / 3 or _STATUS_SECONDS)

    def _send(self, *lines: str) -> None:
        if not self._address or not lines:
            return
        # A leading @ means the null byte of a name in Linux's abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("systemd not notified", extra={"what": lines[0], "reason": error.strerror})
