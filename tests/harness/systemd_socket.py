"""Passes a listening socket to a signer, as systemd does."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import AsyncIterator

from tests.harness.processes import Process, launch
from tests.harness.signer import LOCAL_ENVIRON


@contextlib.asynccontextmanager
async def signer_with_socket(sock: socket.socket, name: str, *arguments: object) -> AsyncIterator[Process]:
    """Run `python run.py serve ARGUMENTS` with a socket of this name as file descriptor 3."""
    script = f'LISTEN_PID=$$ exec "$@" 3<&{sock.fileno()}'
    environ = {**LOCAL_ENVIRON, "LISTEN_FDS": "1", "LISTEN_FDNAMES": name}
    command = ("bash", "-c", script, "-", sys.executable, "run.py", "serve", *arguments)
    async with launch(*command, environ=environ, pass_fds=[sock.fileno()]) as process:
        yield process
