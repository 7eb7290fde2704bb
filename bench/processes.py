"""The local cloud and the signer as processes on free ports; each is ended by its own id."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ROOT = Path(__file__).resolve().parents[1]
_PATIENCE_SECONDS = 60.0
_LOCAL_ENVIRON = {
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
class Signer:
    """A running signer."""

    public: str
    admin: str
    pid: int

    def roles(self) -> list[dict[str, Any]]:
        """What /readyz says of each role."""
        roles: list[dict[str, Any]] = call(f"{self.admin}/readyz")["roles"]
        return roles


@contextlib.contextmanager
def local_cloud(*arguments: str) -> Iterator[Cloud]:
    """`python -m localcloud`. Raises `CannotMeasure` when it does not start."""
    command = [sys.executable, "-m", "localcloud", *arguments]
    with _running(subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE)) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            addresses = json.loads(process.stdout.readline())
        except ValueError:
            raise CannotMeasure("the local cloud did not start; run python -m localcloud to see why") from None
        yield Cloud(addresses["metadata"], addresses["sts"], addresses["oss"])


@contextlib.contextmanager
def signer(definitions: str) -> Iterator[Signer]:
    """`python run.py serve` on these definitions, once it is ready; its log goes to a file, as it would anywhere.

    Raises `CannotMeasure` when it does not start.
    """
    with tempfile.TemporaryDirectory() as directory:
        config, log = Path(directory) / "signer.yaml", Path(directory) / "log"
        config.write_text(definitions, encoding="utf-8")
        command = [sys.executable, "run.py", "serve", "--config", str(config)]
        environ = {**os.environ, **_LOCAL_ENVIRON}
        with (
            log.open("wb") as written,
            _running(subprocess.Popen(command, cwd=_ROOT, env=environ, stderr=written)) as process,  # noqa: S603
        ):
            wait_until(lambda: process.poll() is not None or '"message": "ready"' in log.read_text("utf-8"))
            if process.poll() is not None:
                raise CannotMeasure(f"the signer did not start:\n{log.read_text('utf-8')}")
            said = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
            addresses = next(line for line in said if line["message"] == "listening")
            yield Signer(addresses["public"], addresses["admin"], process.pid)


@contextlib.contextmanager
def _running(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
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
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=_PATIENCE_SECONDS)
    with contextlib.closing(connection):
        connection.request(method, address.path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read()
    if answer.status not in (200, 201, 503):
        raise CannotMeasure(f"{method} {url} was answered with {answer.status}")
    return json.loads(text)
