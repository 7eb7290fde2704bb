"""A pipe that a process writes lines to, whose reader can stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os

from tests.harness.waiting import deadline

_LONGEST_LINE_BYTES = 2**24


class OutputPipe:
    """The reading end of a pipe, and the lines read from it so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_stopped = False
        self._reading, self._writing = os.pipe()
        self._transport: asyncio.ReadTransport | None = None
        self._unread: asyncio.Queue[str | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None

    @property
    def writing_end(self) -> int:
        """The descriptor to pass to a process."""
        return self._writing

    async def start(self) -> None:
        """Read lines until all processes have closed the writing end, after it was passed to them."""
        os.close(self._writing)
        stream = asyncio.StreamReader(_LONGEST_LINE_BYTES)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(self._reading, "rb", buffering=0)
        )
        self._reader = asyncio.create_task(self._read(stream))

    def discard(self) -> None:
        """Close both ends, if no process was started."""
        os.close(self._reading)
        os.close(self._writing)

    def stop_reading(self) -> None:
        """Read no more, so that a page of lines fills the pipe."""
        assert self._transport is not None
        self._transport.pause_reading()
        self.is_stopped = True
        with contextlib.suppress(OSError):  # More than a page waits in it already.
            fcntl.fcntl(self._reading, fcntl.F_SETPIPE_SZ, 4096)

    def resume_reading(self) -> None:
        """Read again."""
        if self.is_stopped:
            assert self._transport is not None
            self._transport.resume_reading()
            self.is_stopped = False

    async def find_line(self, text: str) -> str:
        """Read on to the next line that contains a text, and return it."""
        async with deadline():
            while (line := await self.next_line()) is not None:
                if text in line:
                    return line
        raise AssertionError(f"no line contains {text}")

    async def next_line(self) -> str | None:
        """Return the line after the one that the last call returned; None at the end."""
        return await self._unread.get()

    async def wait_for_end(self) -> None:
        """Return when everything is read, at once if reading has stopped."""
        if self._reader is not None and not self.is_stopped:
            await self._reader

    async def _read(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.lines.append(line.decode(errors="replace"))
            self._unread.put_nowait(self.lines[-1])
        self._unread.put_nowait(None)
