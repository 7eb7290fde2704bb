"""Starts the measured servers as processes on free ports, and ends each by its own id.

The measured server has a core of its own; the load generator and the local cloud have another one.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench.errors import CannotMeasure
from bench.http_client import call

ROOT = Path(__file__).resolve().parents[1]
SERVER_CORE = 0
LOAD_CORE = 1

_TIMEOUT_SECONDS = 300.0
"""Enough for a start under valgrind on a busy machine."""
_POLL_SECONDS = 0.01

ENVIRON = {
    # An installed server has compiled modules and is not watched by coverage.
    **{
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("COVERAGE_")
    },
    "OSS_ACCESS_KEY_ID": "LTAI-local",
    "OSS_ACCESS_KEY_SECRET": "local-secret",
    "OSS_STS_ROLE_ARN": "acs:ram::1234567890123456:role/oss-upload",
}


@dataclass(frozen=True, slots=True)
class Cloud:
    """A running local cloud: the addresses of its servers."""

    metadata: str
    sts: str
    oss: str
    wechat: str
    pid: int

    def set_faults(self, **faults: list[dict[str, Any]]) -> None:
        """Set the faults of each server; those that are not named have none."""
        call(f"{self.oss}/-/faults", method="PUT", body=faults)

    def counts(self) -> dict[str, int]:
        """Return the number of calls so far, by server and operation."""
        counts: dict[str, int] = call(f"{self.oss}/-/counts")
        return counts

    def waiting(self) -> dict[str, int]:
        """Return the number of requests that a fault delays now, by server."""
        waiting: dict[str, int] = call(f"{self.oss}/-/waiting")
        return waiting


@dataclass(frozen=True, slots=True)
class Server:
    """Any running server."""

    public: str
    pid: int


@dataclass(frozen=True, slots=True)
class Signer(Server):
    """A running signer."""

    admin: str
    log: Path
    started_in_seconds: float

    def roles(self) -> list[dict[str, Any]]:
        """Return the roles as /readyz describes them."""
        roles: list[dict[str, Any]] = call(f"{self.admin}/readyz")["roles"]
        return roles


@contextlib.contextmanager
def local_cloud() -> Iterator[Cloud]:
    """Run `python -m localcloud` on the load's core.

    Raises:
        CannotMeasure: It did not start.
    """
    command = on_core(LOAD_CORE, [sys.executable, "-m", "localcloud"])
    with running(subprocess.Popen(command, cwd=ROOT, env=ENVIRON, stdout=subprocess.PIPE)) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            addresses = json.loads(process.stdout.readline())
        except ValueError:
            raise CannotMeasure("the local cloud did not start; run python -m localcloud to see why") from None
        yield Cloud(addresses["metadata"], addresses["sts"], addresses["oss"], addresses["wechat"], process.pid)


@contextlib.contextmanager
def signer(
    definitions: str | Path,
    *,
    core: int | None = None,
    sock: socket.socket | None = None,
    worker: int = 1,
    python: Sequence[str] = (sys.executable,),
    environ: Mapping[str, str] | None = None,
) -> Iterator[Signer]:
    """Run `python run.py serve` and yield it when it is ready; its log is written to a file, as in production.

    Args:
        definitions: Their text, or their path or http:// address.
        core: The only core that it may use; None for any.
        sock: A listening socket, passed as systemd does; several workers may share it.
        worker: The number of this worker, if there is a socket.
        python: The command that runs Python, in a profiler for example.
        environ: Additional environment variables.

    Raises:
        CannotMeasure: It did not start.

    See: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
    """
    with tempfile.TemporaryDirectory() as directory:
        address, log = definitions, Path(directory) / "log"
        if isinstance(definitions, str) and not definitions.startswith("http://"):
            address = Path(directory) / "signer.yaml"
            address.write_text(definitions, encoding="utf-8")
        command = on_core(core, [*python, "run.py", "serve", "--config", str(address)])
        descriptors = []
        if sock is not None:
            descriptors = [sock.fileno()]
            activated = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&{sock.fileno()}'
            command = ["sh", "-c", activated, "sh", *command, "--worker", str(worker)]
        started = time.perf_counter()
        with log.open("wb") as stderr, _popen(command, stderr, descriptors, environ) as process:
            wait_until(lambda: process.poll() is not None or b'"message": "ready"' in log.read_bytes())
            seconds = time.perf_counter() - started
            if process.poll() is not None:
                raise CannotMeasure(f"the signer did not start:\n{log.read_text('utf-8')}")
            lines = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.startswith("{")]
            addresses = next(line for line in lines if line["message"] == "listening")
            yield Signer(addresses["public"], process.pid, addresses["admin"], log, seconds)


@contextlib.contextmanager
def listening(
    command: Sequence[str], path: str, *, core: int | None, environ: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a server on a listening socket and yield it when it responds to a GET of this path.

    `{fd}` in the command is replaced by the number of the socket.

    Raises:
        CannotMeasure: It did not start.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as sock, tempfile.TemporaryFile() as log:
        command = on_core(core, [part.replace("{fd}", str(sock.fileno())) for part in command])
        with _popen(command, log, [sock.fileno()], environ) as process:
            # The socket accepts a connection before the server does.
            with contextlib.closing(http.client.HTTPConnection(*sock.getsockname())) as connection:
                connection.request("GET", path)
                wait_until(lambda: process.poll() is not None or _is_readable(connection.sock))
            if process.poll() is not None:
                log.seek(0)
                raise CannotMeasure(f"{' '.join(command)} did not start:\n{log.read().decode()}")
            yield Server(f"http://127.0.0.1:{sock.getsockname()[1]}", process.pid)


@contextlib.contextmanager
def running(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Terminate the process at the end of the block."""
    with process:
        try:
            yield process
        finally:
            process.terminate()


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition is true.

    Raises:
        CannotMeasure: It does not become true.
    """
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise CannotMeasure(f"nothing happened for {_TIMEOUT_SECONDS:g} s; look at the load of this machine")
        time.sleep(_POLL_SECONDS)


def on_core(core: int | None, command: Sequence[str]) -> list[str]:
    """Return the command, restricted to one core if the system can do that; None is any core."""
    taskset = shutil.which("taskset")
    if core is None or taskset is None or (os.cpu_count() or 1) <= core:
        return [*command]
    return [taskset, "-c", str(core), *command]


def _popen(
    command: Sequence[str], log: IO[bytes], descriptors: Sequence[int], environ: Mapping[str, str] | None
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    environ = {**ENVIRON, **(environ or {})}
    return running(
        subprocess.Popen(command, cwd=ROOT, env=environ, pass_fds=descriptors, stdout=log, stderr=log)  # noqa: S603
    )


def _is_readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])
