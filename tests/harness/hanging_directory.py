"""A directory whose file system hangs and responds again, like a network file system whose server is away.

Debian's bindfs shows one directory at another path through FUSE. While its process is stopped, each call of the file
system waits, and only the death of the calling process ends it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.processes import Process, launch, run
from tests.harness.programs import require_program, unavailable
from tests.harness.waiting import wait_until

_NO_CACHE = "attr_timeout=0,entry_timeout=0,negative_timeout=0"


@dataclass(frozen=True, slots=True)
class HangingDirectory:
    """A mounted directory, which responds until `hang`."""

    path: Path
    _server: Process

    def hang(self) -> None:
        """Let each call of the file system wait."""
        self._server.send_signal(signal.SIGSTOP)

    def respond(self) -> None:
        """Serve the calls that wait, and later ones."""
        self._server.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def hanging_directory(directory: Path) -> AsyncIterator[HangingDirectory]:
    """Mount an empty directory below this one until the end of the block."""
    program = require_program("bindfs")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        unavailable("there is no /dev/fuse")
    (content := directory / "content").mkdir()
    (path := directory / "mount").mkdir()
    async with launch(program, "-f", "--no-allow-other", "-o", _NO_CACHE, content, path) as server:
        await wait_until(lambda: server.returncode is not None or path.is_mount())
        if server.returncode is not None:
            unavailable(f"bindfs cannot mount: {''.join(server.errors)}")
        mount = HangingDirectory(path, server)
        try:
            yield mount
        finally:
            mount.respond()
            # Otherwise it may wait for a process that still uses the directory.
            await run(require_program("fusermount3"), "-u", "-z", path)
