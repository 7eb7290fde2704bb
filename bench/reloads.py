"""What do ten thousand apps cost at start and reload? `python -m bench.reloads`

10,000 apps in 100 files are compared with 10 apps: the time from the start of the process until it is ready, its
memory, the reload of one changed file and of all apps (their `defaults` changed), and how long a reload blocks the
event loop. That is measured from outside: a client requests a thousand signatures a second on one connection.
Its longest wait during a reload is shown next to its longest wait in an equal time without one, which is the machine's.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench.bounds import Bound, as_json, bounds_table, compare
from bench.definitions import OPEN, edit, write_apps
from bench.errors import CannotMeasure
from bench.http_client import call
from bench.process_usage import memory_mib
from bench.processes import signer
from bench.results import write_result
from bench.tables import Table

FEW, MANY = 10, 10_000
PING_SECONDS = 0.001
MIN_SPAN_SECONDS = 0.05
"""The shortest time in which pings are examined, or a short reload could fall between two of them."""
WARM_UP_SECONDS = 0.5
QUIET_SECONDS = 0.7
"""After that, the signer's watch of the files has also seen an edit."""

Figures = dict[str, float]

BOUNDS = (
    Bound("10,000 apps: memory, MiB", lambda figures: figures["memory_mib"], max_value=250),
    Bound("10,000 apps: reload of a file, s", lambda figures: figures["reload_seconds"], max_value=0.3),
    Bound("10,000 apps: event loop blocked, ms", lambda figures: figures["reload_stall_milliseconds"], max_value=20),
)

_HEAD = """\
version: 1
server: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}
credentials:
  uploader: {type: static, access_key_id: LTAI-bench, access_key_secret: "${BENCH_SECRET}"}
defaults: {region: cn-hangzhou, credentials: uploader, success_status: 200}
"""
_APP = """\
  wx{number:016d}:
    name: App {number}
    bucket: photos-{number}
    key_prefix: photos/{number}/{{yyyy}}/{{mm}}/
    key: "{{uuid}}.{{ext}}"
    expires: 10m
    headers: {{x-oss-object-acl: private, x-oss-forbid-overwrite: "true"}}
    rate_limit: {{per_app: 10000/s, per_caller: 10000/s}}
    cors_origins: ["https://h{number}.example.com"]
"""


@dataclass(frozen=True, slots=True)
class Reloads:
    """The median and the maximum of several reloads of one kind."""

    seconds: float
    longest_seconds: float
    stall_milliseconds: float
    """The longest wait of a ping during a reload."""
    longest_stall_milliseconds: float
    baseline_milliseconds: float
    """The same in an equal time without a reload."""
    longest_baseline_milliseconds: float


class Pinger:
    """Requests signatures in a thread and keeps when each request began and how long it took."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target = f"/generate_signature?app_id={OPEN}&filename=a.jpg"
        self._request = f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
        self._pings: list[tuple[float, float]] = []
        self._is_done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Pinger:
        self._thread.start()
        self.longest(time.perf_counter(), time.perf_counter() + WARM_UP_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_done.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._is_done.is_set():
            started = time.perf_counter()
            self._socket.sendall(self._request)
            response = self._socket.recv(65536)
            while response and not response.endswith(b"}"):
                response += self._socket.recv(65536)
            if not response.startswith(b"HTTP/1.1 200 "):
                return
            seconds = time.perf_counter() - started
            self._pings.append((started, seconds))
            time.sleep(max(0.0, PING_SECONDS - seconds))

    def longest(self, start: float, end: float) -> float:
        """Return the longest wait, in milliseconds, of all pings in progress between these times.

        Raises:
            CannotMeasure: A request failed.
        """
        end = max(end, start + MIN_SPAN_SECONDS)
        while not self._pings or self._pings[-1][0] < end:
            if not self._thread.is_alive():
                raise CannotMeasure("a request for a signature failed")
            time.sleep(PING_SECONDS)
        return 1000 * max(seconds for at, seconds in self._pings if at < end and at + seconds > start)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m bench.reloads", description=__doc__)
    parser.add_argument("--reloads", type=int, default=20, help="reloads of one changed file; default: 20")
    options = parser.parse_args(arguments)
    try:
        few, many = (measure(apps, options.reloads) for apps in (FEW, MANY))
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    rows = [(name, f"{few[name]:.3f}", f"{value:.3f}", f"{value / few[name]:.1f}") for name, value in many.items()]
    table = Table(("figure", f"{FEW:,} apps", f"{MANY:,} apps", "ratio"), rows)
    sys.stdout.write(table.text() + bounds_table(compare(BOUNDS, many)).text())
    write_result("reloads", {"few": few, "many": many, "bounds": as_json(BOUNDS, many)})
    return 0


def measure(apps: int, reloads: int) -> Figures:
    """Return the figures of a signer with this many apps."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "main.yaml").write_text(_HEAD, encoding="utf-8")
        files = write_apps(directory, _APP, apps)
        one_file = [
            partial(edit, files[n % len(files)], "expires: 10m", "expires: 9m", count=1) for n in range(reloads)
        ]
        defaults = [
            partial(edit, directory / "main.yaml", f"success_status: {old}", f"success_status: {new}")
            for old, new in ((200, 201), (201, 204), (204, 200))
        ]
        with signer(directory, environ={"BENCH_SECRET": "bench"}) as running, Pinger(running.public) as pinger:
            figures: Figures = {"files": len(files), "start_seconds": running.started_in_seconds}
            figures["memory_mib"] = memory_mib(running.pid)
            for kind, edits in (("reload", one_file), ("reload_of_all", defaults)):
                measured = asdict(_measure_reloads(running.admin, pinger, edits))
                figures |= {f"{kind}_{figure}": value for figure, value in measured.items()}
                figures[f"memory_after_{kind}_mib"] = memory_mib(running.pid)
            figures["peak_memory_mib"] = memory_mib(running.pid, "VmHWM")
            return figures


def _measure_reloads(admin: str, pinger: Pinger, edits: Iterable[Callable[[], None]]) -> Reloads:
    spans, stalls, baselines = [], [], []
    for make_edit in edits:
        make_edit()
        start = time.perf_counter()
        call(f"{admin}/-/reload", method="POST")
        end = time.perf_counter()
        spans.append(end - start)
        stalls.append(pinger.longest(start, end))
        time.sleep(QUIET_SECONDS)
        quiet = time.perf_counter()
        time.sleep(end - start)
        baselines.append(pinger.longest(quiet, quiet + end - start))
    return Reloads(*(figure for each in (spans, stalls, baselines) for figure in (median(each), max(each))))


if __name__ == "__main__":
    sys.exit(main())
