"""How many machine instructions does a request take? `python -m bench.cost`

Signer and hello run under valgrind's callgrind, which counts them. A count does not depend on how busy the machine is,
so it shows what time cannot. It is told in hellos, of the same Python and the same aiohttp, so that it holds on other
machines too; tests/guard compares it with tests/guard/cost.json, which `--store` writes anew.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from bench import definitions
from bench.callgrind import Counter, missing, under_callgrind
from bench.contenders import open_target, uploads_target
from bench.load import Target
from bench.processes import ROOT, CannotMeasure, Cloud, listening, local_cloud, signer
from bench.results import write_result
from bench.table import table

STORED = ROOT / "tests" / "guard" / "cost.json"
REQUESTS = 40
ROUNDS = 4
"""The cheapest counts: in the others something happened that does not happen in every request."""
AFTERWARDS_SECONDS = 0.25
"""What a request leaves to be done later, such as its line in the log, is done by then, and counts."""

_ENVIRON = {"PYTHONHASHSEED": "0"}

Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument("--store", action="store_true", help="what tests/guard compares with from now on")
    options = parser.parse_args(arguments)
    try:
        instructions = measure()
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    costs = in_hellos(instructions)
    rows = [(kind, f"{count:,.0f}", f"{costs.get(kind, 1):.3f}") for kind, count in instructions.items()]
    sys.stdout.write(table(("request", "instructions", "hellos"), rows))
    write_result("cost", {"instructions": instructions, "hellos": costs})
    if options.store:
        STORED.write_text(json.dumps(costs, indent=2) + "\n", encoding="utf-8")
    return 0


def in_hellos(instructions: Figures) -> Figures:
    return {kind: round(count / instructions["hello"], 3) for kind, count in instructions.items() if kind != "hello"}


def measure() -> Figures:
    """Instructions of a hello and of each kind of request. Raises `CannotMeasure`."""
    if told := missing():
        raise CannotMeasure(told)
    with local_cloud() as cloud, ThreadPoolExecutor() as both:
        hello, signatures = both.submit(_hello), both.submit(_signatures, cloud)
        return hello.result() | signatures.result()


def _hello() -> Figures:
    with tempfile.TemporaryDirectory() as name, tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"body": "x" * 1500, "headers": {"Content-Type": "application/json"}}, file)
        file.flush()
        command = [*under_callgrind(Path(name)), sys.executable, "-m", "bench.hello", "{fd}", file.name]
        with listening(command, "/hello", core=None, environ=_ENVIRON) as server:
            return _counts(server.pid, Path(name), {"hello": Target(f"{server.public}/hello")})


def _signatures(cloud: Cloud) -> Figures:
    with tempfile.TemporaryDirectory() as name:
        under = under_callgrind(Path(name))
        with signer(definitions.usual(cloud), under=under, environ=_ENVIRON) as running:
            kinds = {"generate_signature": open_target(running.public), "uploads": uploads_target(running.public)}
            return _counts(running.pid, Path(name), kinds)


def _counts(pid: int, directory: Path, targets: dict[str, Target]) -> Figures:
    """Of one request each."""
    counts = {}
    with Counter(pid, directory) as counter:
        for kind, target in targets.items():
            with Client(target) as client:
                client.ask(REQUESTS // 4)
                time.sleep(AFTERWARDS_SECONDS)
                counts[kind] = min(counter.count(lambda: _round(client)) for _ in range(ROUNDS)) / REQUESTS
    return counts


def _round(client: Client) -> None:
    client.ask(REQUESTS)
    time.sleep(AFTERWARDS_SECONDS)


class Client(contextlib.AbstractContextManager["Client"]):
    """One connection that is kept."""

    def __init__(self, target: Target) -> None:
        address = urlsplit(target.url)
        self._target = target
        self._path = f"{address.path}?{address.query}"
        self._connection = http.client.HTTPConnection(address.netloc, timeout=60)

    def ask(self, times: int) -> None:
        for _ in range(times):
            self._connection.request(self._target.method, self._path, self._target.body, {**self._target.headers})
            answer = self._connection.getresponse()
            text = answer.read()
            if answer.status not in (200, 201):
                raise CannotMeasure(f"{self._path} was answered with {answer.status}: {text.decode()}")

    def __exit__(self, *_: object) -> None:
        self._connection.close()


if __name__ == "__main__":
    sys.exit(main())
