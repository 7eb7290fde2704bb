"""What is measured, as processes on free ports; each is ended by its own id.

The server that is measured has a core of its own, and whoever asks it another one.
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
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
SERVER_CORE = 0
LOAD_CORE = 1

_PATIENCE_SECONDS = 300.0
ENVIRON = {
    # An installed server has its modules compiled, and none is watched by coverage.
    **{
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("COVERAGE_")
    },
    "OSS_ACCESS_KEY_ID": "LTAI-local",
    "OSS_ACCESS_KEY_SECRET": "local-secret",
    "OSS_STS_ROLE_ARN": "acs:ram::1234567890123456:role/oss-upload",
}


class CannotMeasure(Exception):
    """Something is missing or did not start; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """A running local cloud."""

    metadata: str
    sts: str
    oss: str
    wechat: str

    def set_faults(self, **faults: list[dict[str, Any]]) -> None:
        """Of each server those that it shall have; none of those that are not named."""
        call(f"{self.oss}/-/faults", method="PUT", body=faults)

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = call(f"{self.oss}/-/counts")
        return counts

    def waiting(self) -> dict[str, int]:
        """How many requests a fault holds up now, by server."""
        waiting: dict[str, int] = call(f"{self.oss}/-/waiting")
        return waiting


@dataclass(frozen=True, slots=True)
class Served:
    """Any other server."""

    public: str
    pid: int


@dataclass(frozen=True, slots=True)
class Signer:
    """A running signer."""

    public: str
    admin: str
    pid: int
    log: Path

    def roles(self) -> list[dict[str, Any]]:
        """What /readyz says of each role."""
        roles: list[dict[str, Any]] = call(f"{self.admin}/readyz")["roles"]
        return roles


def on_core(core: int | None, command: Sequence[str]) -> list[str]:
    """The command, kept on one core where the system can; None leaves it where it likes."""
    program = shutil.which("taskset")
    if core is None or program is None or (os.cpu_count() or 1) <= core:
        return [*command]
    return [program, "-c", str(core), *command]


@contextlib.contextmanager
def local_cloud(*arguments: str) -> Iterator[Cloud]:
    """`python -m localcloud`, on the load's core. Raises `CannotMeasure` when it does not start."""
    command = on_core(LOAD_CORE, [sys.executable, "-m", "localcloud", *arguments])
    with running(subprocess.Popen(command, cwd=ROOT, env=ENVIRON, stdout=subprocess.PIPE)) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            addresses = json.loads(process.stdout.readline())
        except ValueError:
            raise CannotMeasure("the local cloud did not start; run python -m localcloud to see why") from None
        yield Cloud(addresses["metadata"], addresses["sts"], addresses["oss"], addresses["wechat"])


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
    """`python run.py serve` on these definitions, once it is ready; its log goes to a file, as it would anywhere.

    Definitions are their text, or the path or http:// address that they are at. `sock` is handed over as systemd does it
    (sd_listen_fds(3)), to several workers if need be; `python` is the command that runs Python, such as in a profiler.
    Raises `CannotMeasure` when it does not start.
    """
    with tempfile.TemporaryDirectory() as directory:
        config, log = Path(directory) / "signer.yaml", Path(directory) / "log"
        address: str | Path = definitions
        if isinstance(definitions, str) and not definitions.startswith("http://"):
            config.write_text(definitions, encoding="utf-8")
            address = config
        command = on_core(core, [*python, "run.py", "serve", "--config", str(address)])
        descriptors = []
        if sock is not None:
            descriptors = [sock.fileno()]
            activated = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&{sock.fileno()}'
            command = ["sh", "-c", activated, "sh", *command, "--worker", str(worker)]
        environ = {**ENVIRON, **(environ or {})}
        with (
            log.open("wb") as written,
            running(
                subprocess.Popen(command, cwd=ROOT, env=environ, stderr=written, pass_fds=descriptors)  # noqa: S603
            ) as process,
        ):
            wait_until(lambda: process.poll() is not None or '"message": "ready"' in log.read_text("utf-8"))
            if process.poll() is not None:
                raise CannotMeasure(f"the signer did not start:\n{log.read_text('utf-8')}")
            said = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.startswith("{")]
            addresses = next(line for line in said if line["message"] == "listening")
            yield Signer(addresses["public"], addresses["admin"], process.pid, log)


@contextlib.contextmanager
def listening(
    command: Sequence[str], path: str, *, core: int | None, environ: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """A server that takes a socket which listens already, once it answers this path.

    `{fd}` in its command is that socket's number. Raises `CannotMeasure` when it does not start.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as sock, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603
            on_core(core, [part.replace("{fd}", str(sock.fileno())) for part in command]),
            cwd=ROOT,
            env={**ENVIRON, **(environ or {})},
            pass_fds=[sock.fileno()],
            stdout=log,
            stderr=log,
        )
        address = f"http://127.0.0.1:{sock.getsockname()[1]}"
        with running(process):
            # The socket accepts a connection before the server does.
            with contextlib.closing(http.client.HTTPConnection(*sock.getsockname())) as connection:
                connection.request("GET", path)
                wait_until(lambda: process.poll() is not None or _is_readable(connection.sock))
            if process.poll() is not None:
                log.seek(0)
                raise CannotMeasure(f"{' '.join(command)} did not start:\n{log.read().decode()}")
            yield Served(address, process.pid)


@contextlib.contextmanager
def running(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    with process:
        try:
            yield process
        finally:
            process.terminate()


def wait_until(condition: Callable[[], bool]) -> None:
    """Raises `CannotMeasure` when it does not come true."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise CannotMeasure(f"waited for {_PATIENCE_SECONDS:g} s in vain")
        time.sleep(0.05)


def call(url: str, *, method: str = "GET", body: object = None) -> Any:
    """The JSON that an address of the local cloud or the signer answers, with 503 too: /readyz says so much with it."""
    return json.loads(exchange(url, method=method, body=None if body is None else json.dumps(body)).text)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    headers: dict[str, str]
    text: str


def exchange(
    url: str,
    *,
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = _PATIENCE_SECONDS,
    accepted: Sequence[int] = (200, 201, 503),
) -> Answer:
    """One request on a connection of its own. Raises `CannotMeasure` for an answer of another status."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=timeout_seconds)
    with contextlib.closing(connection):
        target = f"{address.path}?{address.query}" if address.query else address.path
        connection.request(method, target, body, {**(headers or {})})
        answer = connection.getresponse()
        text = answer.read().decode()
    if answer.status not in accepted:
        raise CannotMeasure(f"{method} {url} was answered with {answer.status}: {text[:500]}")
    return Answer(dict(answer.getheaders()), text)


def _is_readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])
