"""Do ten thousand apps cost anything? `python -m bench.scale`

10,000 apps in 100 files against 10 apps in the same run: the time from the start of the process until it is ready, its
memory, the reload of one changed file and of all apps (their `defaults` changed), and how long the event loop lets
others wait meanwhile. That is measured from outside: a pinger asks for a signature a thousand times a second on one
keep-alive connection; its longest wait during a reload stands beside its longest in as long a time without one, which
is what the machine itself does to it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench.consumption import memory_mib
from bench.processes import CannotMeasure, call
from bench.results import write_result
from bench.table import table

ROOT = Path(__file__).resolve().parents[1]
FEW = 10
FILES = 100
TARGETS = {"memory_mib": 250.0, "reload_seconds": 0.3, "reload_stall_milliseconds": 20.0}
PING_SECONDS = 0.001
SHORTEST_SECONDS = 0.05
"""For so long at least pings are looked at, or a quick reload may fall between two."""
WARM_UP_SECONDS = 0.5
QUIET_SECONDS = 0.7
"""After that the signer's own watch has looked at an edit as well."""

HEAD = """\
version: 1
server: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}
credentials:
  uploader: {type: static, access_key_id: LTAI-bench, access_key_secret: "${BENCH_SECRET}"}
defaults: {region: cn-hangzhou, credentials: uploader, success_status: 200}
"""
APP = """\
  wx{number:016d}:
    name: App {number}
    bucket: photos-{number}
    key_prefix: photos/{number}/{{yyyy}}/{{mm}}/
    key: "{{uuid}}.{{ext}}"
    expires: 10m
    max_size: {size}MiB
    headers: {{x-oss-object-acl: private, x-oss-forbid-overwrite: "true"}}
    rate_limit: {{per_app: 10000/s, per_caller: 10000/s}}
    cors_origins: ["https://h{number}.example.com"]
"""


@dataclass(frozen=True, slots=True)
class Reloads:
    """Of several reloads of the same kind, the median and the longest."""

    seconds: float
    longest_seconds: float
    stall_milliseconds: float
    """The longest wait of a ping in a reload."""
    longest_stall_milliseconds: float
    baseline_milliseconds: float
    """The same in as long a time without a reload."""
    longest_baseline_milliseconds: float


class Pinger:
    """Asks all the time, in a thread of its own; keeps when each ping began and how long it waited."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target = f"/generate_signature?app_id=wx{0:016d}&filename=a.jpg"
        self._request = f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
        self._pings: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Pinger:
        self._thread.start()
        self.longest(time.perf_counter(), time.perf_counter() + WARM_UP_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._over.is_set():
            began = time.perf_counter()
            self._socket.sendall(self._request)
            answer = self._socket.recv(65536)
            while answer and not answer.endswith(b"}"):
                answer += self._socket.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200 "):
                return
            took = time.perf_counter() - began
            self._pings.append((began, took))
            time.sleep(max(0.0, PING_SECONDS - took))

    def longest(self, began: float, ended: float) -> float:
        """In milliseconds, of all pings that were under way between these. Raises `CannotMeasure`."""
        ended = max(ended, began + SHORTEST_SECONDS)
        while not self._pings or self._pings[-1][0] < ended:
            if not self._thread.is_alive():
                raise CannotMeasure("a signature was refused")
            time.sleep(PING_SECONDS)
        return 1000 * max(took for start, took in self._pings if start < ended and start + took > began)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--apps", type=int, default=10_000)
    parser.add_argument("--reloads", type=int, default=20, help="of one changed file")
    options = parser.parse_args(arguments)
    try:
        few, many = (measure(apps, options.reloads) for apps in (FEW, options.apps))
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(report(few, many, options.apps))
    write_result("scale", {"apps": options.apps, "few": few, "many": many, "targets": TARGETS})
    return 0


Figures = dict[str, float]


def measure(apps: int, reloads: int) -> Figures:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        files = write_definitions(directory, apps)
        one_file = [partial(edit, files[n % len(files)], "expires: 10m", "expires: 9m") for n in range(reloads)]
        defaults = [
            partial(edit, directory / "main.yaml", f"success_status: {old}", f"success_status: {new}")
            for old, new in ((200, 201), (201, 204), (204, 200))
        ]
        with running(directory) as signer, Pinger(signer.public) as pinger:
            figures: Figures = {"files": len(files), "start_seconds": signer.started_in_seconds}
            figures["memory_mib"] = memory_mib(signer.pid)
            for kind, edits in (("reload", one_file), ("reload_of_all", defaults)):
                measured = asdict(measure_reloads(signer.admin, pinger, edits))
                figures |= {f"{kind}_{figure}": value for figure, value in measured.items()}
                figures[f"memory_after_{kind}_mib"] = memory_mib(signer.pid)
            figures["most_memory_mib"] = memory_mib(signer.pid, "VmHWM")
            return figures


def write_definitions(directory: Path, apps: int) -> list[Path]:
    (directory / "main.yaml").write_text(HEAD, encoding="utf-8")
    files = [directory / f"apps-{number:03d}.yaml" for number in range(min(FILES, apps))]
    for number, file in enumerate(files):
        parts = [APP.format(number=each, size=each % 50 + 1) for each in range(number, apps, len(files))]
        file.write_text("apps:\n" + "".join(parts), encoding="utf-8")
    return files


def edit(file: Path, old: str, new: str) -> None:
    """As editors do: a new file takes the place of the old one."""
    temporary = file.with_suffix(".new")
    temporary.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    temporary.replace(file)


def measure_reloads(admin: str, pinger: Pinger, edits: Iterable[Callable[[], None]]) -> Reloads:
    spans, stalls, baselines = [], [], []
    for make_edit in edits:
        make_edit()
        began = time.perf_counter()
        call(f"{admin}/-/reload", method="POST")
        ended = time.perf_counter()
        spans.append(ended - began)
        stalls.append(pinger.longest(began, ended))
        time.sleep(QUIET_SECONDS)
        quiet = time.perf_counter()
        time.sleep(ended - began)
        baselines.append(pinger.longest(quiet, quiet + ended - began))
    return Reloads(*(figure for each in (spans, stalls, baselines) for figure in (median(each), max(each))))


@dataclass(frozen=True, slots=True)
class Running:
    """A signer that is ready."""

    public: str
    admin: str
    pid: int
    started_in_seconds: float


@contextlib.contextmanager
def running(config: Path) -> Iterator[Running]:
    """Raises `CannotMeasure` when it does not start."""
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "run.py", "serve", "--config", str(config)],
        cwd=ROOT,
        env={**os.environ, "BENCH_SECRET": "bench"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process:
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if '"message": "ready"' in line:
                    break
            else:
                raise CannotMeasure("the signer did not start:\n" + "".join(said))
            took = time.perf_counter() - began
            # Its log goes on, and somebody has to read it.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            addresses = next(json.loads(line) for line in said if '"message": "listening"' in line)
            yield Running(addresses["public"], addresses["admin"], process.pid, took)
        finally:
            process.terminate()


def report(few: Figures, many: Figures, apps: int) -> str:
    rows = []
    for name, value in many.items():
        target = TARGETS.get(name)
        told = "" if target is None else f"< {target:g} {'met' if value < target else 'MISSED'}"
        rows.append((name, f"{few[name]:.3f}", f"{value:.3f}", f"{value / few[name]:.1f}", told))
    return table(("figure", f"{FEW:,} apps", f"{apps:,} apps", "ratio", "target"), rows)


if __name__ == "__main__":
    sys.exit(main())
