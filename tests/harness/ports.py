"""Reserves TCP ports for servers that have to be given a number."""

from __future__ import annotations

import contextlib
import fcntl
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

_RANGE = range(20_000, 32_000)
"""Below the range from which Linux assigns ports by itself, so that no other socket gets a reserved one."""
_locks: list[IO[bytes]] = []


def reserve_port() -> int:
    """Return a free port of 127.0.0.1 that no other call returns as long as this process lives."""
    directory = Path(tempfile.gettempdir()) / "oss-signer-test-ports"
    directory.mkdir(exist_ok=True)
    for port in random.sample(_RANGE, len(_RANGE)):
        lock = (directory / str(port)).open("wb")
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            socket.create_server(("127.0.0.1", port)).close()
            _locks.append(lock)
            return port
        lock.close()
    raise AssertionError("no free port")
