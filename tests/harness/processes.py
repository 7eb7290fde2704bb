"""Launches every process that the tests need, collects its output, and ends it by its own id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.output_pipe import OutputPipe
from tests.harness.waiting import DEADLINE_SECONDS, deadline

ROOT = Path(__file__).resolve().parents[2]
"""The project's directory."""
_COMMAND_SECONDS = 600.0
"""The deadline of a command, which may build or install something."""
_SET_BY_SYSTEMD = {"LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "STATE_DIRECTORY", "WATCHDOG_USEC"}
_SLOWS_STARTS = "PYTHONDONTWRITEBYTECODE"
"""Without stored bytecode, each process would compile the signer again."""
_NO_DRAIN = {"OSS_SIGNER_DRAIN_SECONDS": "0"}
"""A signer does not wait for idle connections of the tests when it ends."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a process ended, and what it wrote."""

    status: int
    out: str
    err: str


class Process:
    """A process that was launched."""

    def __init__(self, process: asyncio.subprocess.Process, stdout: OutputPipe, stderr: OutputPipe) -> None:
        self._process = process
        self.stdout = stdout
        self.stderr = stderr

    @property
    def output(self) -> list[str]:
        """Its lines on stdout so far."""
        return self.stdout.lines

    @property
    def errors(self) -> list[str]:
        """Its lines on stderr so far."""
        return self.stderr.lines

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self._process.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def send_signal(self, number: int) -> None:
        """Send any signal."""
        self._process.send_signal(number)

    def write_line(self, text: str) -> None:
        """Write a line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())

    def close_input(self) -> None:
        """Close its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def read_line(self) -> str:
        """Return the next line of its stdout, without the line feed.

        Raises:
            AssertionError: It closed stdout; the message is what it wrote to stderr.
        """
        async with deadline():
            line = await self.stdout.next_line()
            if line is None:
                await self.stderr.wait_for_end()
                raise AssertionError("".join(self.errors) or "it wrote nothing")
        return line.removesuffix("\n")

    async def wait(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Return its exit status, once it has ended and all of its output is read."""
        async with asyncio.timeout(seconds):
            status = await self._process.wait()
            await self._wait_for_output()
        return status

    async def stop(self) -> int:
        """Send SIGTERM if it still runs, and return its exit status."""
        if self.returncode is None:
            self.terminate()
        return await self.wait()

    async def end(self) -> None:
        """End it, if need be with SIGKILL, and then its children."""
        try:
            if self.returncode is None:
                self.terminate()
            await asyncio.wait_for(self._process.wait(), DEADLINE_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            await self._process.wait()
            self.stdout.resume_reading()
            self.stderr.resume_reading()
            await self._wait_for_output()

    async def _wait_for_output(self) -> None:
        await self.stdout.wait_for_end()
        await self.stderr.wait_for_end()


@contextlib.asynccontextmanager
async def launch(
    *command: object,
    environ: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    pass_fds: Sequence[int] = (),
) -> AsyncIterator[Process]:
    """Run a command until the end of the block, in a process group of its own.

    Args:
        environ: Variables that are added to those of the tests.
        pass_fds: File descriptors that it inherits.
    """
    inherited = {name: os.environ[name] for name in os.environ.keys() - _SET_BY_SYSTEMD - {_SLOWS_STARTS}}
    stdout, stderr = OutputPipe(), OutputPipe()
    try:
        started = await asyncio.create_subprocess_exec(
            *map(str, command),
            cwd=cwd,
            env={**inherited, **_NO_DRAIN, **(environ or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=stdout.writing_end,
            stderr=stderr.writing_end,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except OSError:
        stdout.discard()
        stderr.discard()
        raise
    await stdout.start()
    await stderr.start()
    process = Process(started, stdout, stderr)
    try:
        yield process
    finally:
        await process.end()


async def run(
    *command: object,
    environ: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    stdin: str = "",
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run a command to its end."""
    async with launch(*command, environ=environ, cwd=cwd, pass_fds=pass_fds) as process:
        if stdin:
            process.write_line(stdin)
        process.close_input()
        status = await process.wait(_COMMAND_SECONDS)
        return Completed(status, "".join(process.output), "".join(process.errors))
