"""The rows of the table of requests: a server on the server's core for each, and the request it is measured with."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import definitions, go_server
from bench.background_work import background_work
from bench.http_client import call, send
from bench.processes import SERVER_CORE, Cloud, Signer, listening, signer
from bench.rounds import Contender
from bench.wrk import Target

UPLOAD_REQUEST = '{"filename":"photo.jpg","content_type":"image/jpeg","size":345678}'
BATCH_FILES = 9
"""What WeChat's picker returns at most by default."""
STS_LATENCY_SECONDS = 0.02

Start = contextlib.AbstractContextManager[Contender]


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers that several rows share."""

    cloud: Cloud
    fast: Signer
    """The signer with its fast HTTP path."""
    standard: Signer
    """The signer with its standard HTTP path."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    title: str
    start: Callable[[Servers], Start]
    is_signer: bool = False
    is_available: Callable[[], bool] = lambda: True


def open_app_request(public: str, app: str = definitions.OPEN) -> Target:
    """Return the request for the signature of an app that needs no caller."""
    return Target(f"{public}/generate_signature?app_id={app}")


def upload_request(public: str, app: str = definitions.UPLOADS) -> Target:
    """Return the request for an upload with an exact key."""
    headers = {"Content-Type": "application/json"}
    return Target(f"{public}/v1/apps/{app}/uploads", "POST", UPLOAD_REQUEST, headers)


def batch_request(public: str) -> Target:
    """Return the request for the uploads of several files, as the upload library sends it."""
    single = upload_request(public)
    return Target(
        single.url, "POST", f'{{"files":[{",".join([UPLOAD_REQUEST] * BATCH_FILES)}],"compact":true}}', single.headers
    )


@contextlib.contextmanager
def _hello(target: Target) -> Iterator[Contender]:
    """Start a hello server that gets the same requests as `target` and responds with as many bytes."""
    response = send(target.url, method=target.method, body=target.body, headers=target.headers)
    own_headers = ("Content-Length", "Date", "Server")
    headers = {name: value for name, value in response.headers.items() if name not in own_headers}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"body": response.text, "headers": headers}, file)
        file.flush()
        command = [sys.executable, "-m", "bench.hello", "{fd}", file.name]
        with listening(command, "/hello", core=SERVER_CORE) as server:
            url = f"{server.public}/hello"
            yield Contender([server.pid], Target(url, target.method, target.body, target.headers))


def _open_app(running: Signer) -> Start:
    return contextlib.nullcontext(Contender([running.pid], open_app_request(running.public)))


def _uploads(running: Signer) -> Start:
    return contextlib.nullcontext(Contender([running.pid], upload_request(running.public)))


def _batches(running: Signer) -> Start:
    return contextlib.nullcontext(Contender([running.pid], batch_request(running.public)))


def _exact_key(cloud: Cloud, running: Signer) -> Start:
    call(f"{cloud.oss}/-/wechat/apps/wechat", method="PUT", body={"secret": definitions.WECHAT_SECRET})
    login = {"appid": definitions.WECHAT, "user": "bench"}
    code = call(f"{cloud.oss}/-/wechat/codes", method="POST", body=login)["code"]
    url = f"{running.public}/generate_signature?app_id={definitions.WECHAT}&filename=photo.jpg"
    session = send(url, headers={"X-WX-Code": code}).headers["X-Session"]
    return contextlib.nullcontext(Contender([running.pid], Target(url, headers={"X-Session": session})))


@contextlib.contextmanager
def _flask(cloud: Cloud, credentials: str) -> Iterator[Contender]:
    options = ["--workers", "1", "--worker-class", "sync", "--bind", "fd://{fd}", "--no-control-socket"]
    command = [sys.executable, "-m", "gunicorn", *options, "bench.flask_sample"]
    path = "/get_post_signature_for_oss_upload"
    environ = {"OSS_STS_ENDPOINT": cloud.sts, "CREDENTIALS": credentials}
    with listening(command, path, core=SERVER_CORE, environ=environ) as server:
        yield Contender([server.pid], Target(server.public + path))


@contextlib.contextmanager
def _flask_as_documented(servers: Servers) -> Iterator[Contender]:
    @contextlib.contextmanager
    def slow_sts() -> Iterator[None]:
        servers.cloud.set_faults(sts=[{"kind": "latency", "seconds": STS_LATENCY_SECONDS}])
        try:
            yield
        finally:
            servers.cloud.set_faults()

    with _flask(servers.cloud, "each request") as contender:
        yield Contender(contender.pids, contender.target, slow_sts)


@contextlib.contextmanager
def _busy(cloud: Cloud) -> Iterator[Contender]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        files = definitions.busy(cloud, directory, apps=10_000, roles=2, expires_seconds=6)
        with signer(directory, core=SERVER_CORE) as running:
            target = open_app_request(running.public)
            yield Contender([running.pid], target, lambda: background_work(cloud, running, files))


@contextlib.contextmanager
def _go(cloud: Cloud) -> Iterator[Contender]:
    with go_server.running(cloud, [definitions.open_app(number) for number in range(8)]) as server:
        yield Contender([server.pid], open_app_request(server.public))


ROWS = {
    "a": Row("aiohttp hello", lambda servers: _hello(open_app_request(servers.fast.public))),
    "h": Row("aiohttp hello, requests of (d)", lambda servers: _hello(upload_request(servers.fast.public))),
    "b": Row("open app", lambda servers: _open_app(servers.fast), is_signer=True),
    "c": Row("caller and exact key", lambda servers: _exact_key(servers.cloud, servers.fast), is_signer=True),
    "d": Row("POST uploads", lambda servers: _uploads(servers.fast), is_signer=True),
    "n": Row("POST uploads, nine files", lambda servers: _batches(servers.fast), is_signer=True),
    "B": Row("(b), standard path", lambda servers: _open_app(servers.standard), is_signer=True),
    "C": Row("(c), standard path", lambda servers: _exact_key(servers.cloud, servers.standard), is_signer=True),
    "D": Row("(d), standard path", lambda servers: _uploads(servers.standard), is_signer=True),
    "e": Row("Flask sample, credential in memory", lambda servers: _flask(servers.cloud, "memory")),
    "f": Row("Flask sample as documented", _flask_as_documented),
    "g": Row("(b) during reloads and refreshes", lambda servers: _busy(servers.cloud), is_signer=True),
    "i": Row("Go, the job of (b)", lambda servers: _go(servers.cloud), is_available=lambda: bool(shutil.which("go"))),
}
