"""Machine instructions of each kind of request. `python -m bench.cost`

The signer and a hello server run under valgrind's callgrind, which counts instructions. They run in frozen time
(`frozen_time`), so the same code gives the same count on a fast or slow, idle or busy machine. Counts are divided by
those of a hello on the same Python and aiohttp, so they also compare between machines. tests/guard compares them with
tests/guard/cost.json, which `--store` writes.

The kinds are the sample answer as it is usually given (cached for its second), the first sample answer of a second,
which is signed, an upload, which is signed for each request, and the uploads of nine files in one request.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, repeat
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from bench import callgrind, definitions
from bench.contenders import batch_request, open_app_request, upload_request
from bench.errors import CannotMeasure
from bench.processes import ROOT, Cloud, listening, local_cloud, signer, wait_until
from bench.results import write_result
from bench.tables import Table
from bench.wrk import Target

STORED = ROOT / "tests" / "guard" / "cost.json"
REQUESTS = 40
ROUNDS = 3
"""The lowest count is reported: garbage collections of the oldest generation fall into some rounds only."""

_ENVIRON = {"PYTHONHASHSEED": "0"}
_TIMEOUT_SECONDS = 120
_REQUEST_LINE = b'"message": "request"'

Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts, write them to the results, and store them on request."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument("--store", action="store_true", help="make these the figures that tests/guard compares with")
    options = parser.parse_args(arguments)
    try:
        instructions = measure()
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    costs = in_hellos(instructions)
    sys.stdout.write(table(instructions).text())
    write_result("cost", {"instructions": instructions, "hellos": costs})
    if options.store:
        STORED.write_text(json.dumps(costs, indent=2) + "\n", encoding="utf-8")
    return 0


def table(instructions: Figures) -> Table:
    """Return the counts as a table."""
    costs = in_hellos(instructions)
    rows = [(kind, f"{count:,.0f}", f"{costs.get(kind, 1):.3f}") for kind, count in instructions.items()]
    return Table(("request", "instructions", "hellos"), rows)


def in_hellos(instructions: Figures) -> Figures:
    """Return the count of each kind of request divided by that of a hello."""
    return {kind: round(count / instructions["hello"], 3) for kind, count in instructions.items() if kind != "hello"}


def measure() -> Figures:
    """Return the number of instructions of a hello and of each kind of request.

    Raises:
        CannotMeasure: a program is missing, or a server did not start or respond.
    """
    if missing := callgrind.missing_program():
        raise CannotMeasure(missing)
    with local_cloud() as cloud, ThreadPoolExecutor() as both:
        hello, signatures = both.submit(_hello), both.submit(_signatures, cloud)
        return hello.result() | signatures.result()


def _python(directory: Path) -> list[str]:
    return [*callgrind.under_callgrind(directory), sys.executable, "-m", "bench.frozen_time"]


def _hello() -> Figures:
    with tempfile.TemporaryDirectory() as name, tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"body": "x" * 1500, "headers": {"Content-Type": "application/json"}}, file)
        file.flush()
        command = [*_python(Path(name)), "bench/hello.py", "{fd}", file.name]
        with (
            listening(command, "/hello", core=None, environ=_ENVIRON) as server,
            Client(server.public, server.pid) as client,
        ):
            fire_timers(server.pid)
            with callgrind.Counter(server.pid, Path(name)) as counter:
                return {"hello": _cost(counter, client, repeat(Target(f"{server.public}/hello")))}


def _signatures(cloud: Cloud) -> Figures:
    apps = [definitions.open_app(number) for number in range(REQUESTS)]
    with tempfile.TemporaryDirectory() as name:
        text = definitions.usual(cloud, len(apps) + 2)
        with (
            # From a file, the signer would look for changes in a thread that no timer of the event loop drives.
            published(text) as address,
            signer(address, python=_python(Path(name)), environ=_ENVIRON) as running,
            Client(running.public, running.pid) as client,
        ):

            def write_log() -> None:
                """Have the log written, as it is 10 ms after a request."""
                fire_timers(running.pid)
                wait_until(lambda: running.log.read_bytes().count(_REQUEST_LINE) >= client.sent)

            def next_second() -> None:
                os.kill(running.pid, signal.SIGUSR2)
                write_log()

            write_log()
            others = cycle([open_app_request(running.public, app) for app in apps])
            with callgrind.Counter(running.pid, Path(name)) as counter:
                return {
                    "first of its second": _cost(counter, client, others, next_second),
                    "cached": _cost(counter, client, repeat(open_app_request(running.public)), write_log),
                    "uploads": _cost(counter, client, repeat(upload_request(running.public)), write_log),
                    "nine files": _cost(counter, client, repeat(batch_request(running.public)), write_log),
                }


def _cost(
    counter: callgrind.Counter,
    client: Client,
    requests: Iterable[Target],
    afterwards: Callable[[], None] = lambda: None,
) -> float:
    """Return the number of instructions of one request; the first requests are not counted."""
    requests = iter(requests)

    def send_some() -> None:
        client.send(islice(requests, REQUESTS))
        afterwards()

    send_some()
    return min(counter.count(send_some) for _ in range(ROUNDS)) / REQUESTS


@contextlib.contextmanager
def published(text: str) -> Iterator[str]:
    """Serve a text by HTTP and yield its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/signer.yaml"
        finally:
            server.shutdown()
            thread.join()


def fire_timers(pid: int) -> None:
    """Make a program that `held_timers` runs fire what is due, and hold its timers from now on."""
    os.kill(pid, signal.SIGUSR1)


class Client(contextlib.AbstractContextManager["Client"]):
    """One connection that is kept open.

    Each request is sent in one piece and to a process that sleeps, since a server does less work for a request that
    arrives before it waits for one.
    """

    def __init__(self, url: str, pid: int) -> None:
        address = urlsplit(url)
        self._stat = Path(f"/proc/{pid}/stat")
        self.sent = 0
        self._host = address.netloc
        self._socket = socket.create_connection((address.hostname, address.port), timeout=_TIMEOUT_SECONDS)

    def send(self, requests: Iterable[Target]) -> None:
        """Send each request once the response to the one before has arrived.

        Raises:
            CannotMeasure: a response has another status than 200 or 201.
        """
        for target in requests:
            body = (target.body or "").encode()
            headers = {"Host": self._host, "Content-Length": len(body), **target.headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            while self._stat.read_text("utf-8").rpartition(")")[2].split()[0] != "S":
                time.sleep(0.0005)
            path = target.url.partition(self._host)[2]
            self._socket.sendall(f"{target.method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            response = http.client.HTTPResponse(self._socket)
            response.begin()
            text = response.read()
            if response.status not in (200, 201):
                raise CannotMeasure(f"{path} was answered with {response.status}: {text.decode()}")
            self.sent += 1

    def __exit__(self, *_: object) -> None:
        self._socket.close()


if __name__ == "__main__":
    sys.exit(main())
