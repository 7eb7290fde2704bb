"""Who is compared: each a server on the server's core, and what it is asked. Their letters are those of the table.

(h) is no bound's: it tells how much of (d) is aiohttp's own work on a body.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import definitions
from bench.disturbance import disturbed
from bench.load import Target
from bench.processes import SERVER_CORE, Cloud, Signer, call, exchange, listening, signer
from bench.rounds import Contender

WISH = '{"filename":"photo.jpg","content_type":"image/jpeg","size":345678}'
STS_LATENCY_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    start: Callable[[Cloud, Signer], contextlib.AbstractContextManager[Contender]]
    """The signer is the one that (b), (c) and (d) ask."""


def open_target(public: str, app: str = definitions.OPEN) -> Target:
    return Target(f"{public}/generate_signature?app_id={app}")


def uploads_target(public: str, app: str = definitions.UPLOADS) -> Target:
    return Target(f"{public}/v1/apps/{app}/uploads", "POST", WISH, {"Content-Type": "application/json"})


@contextlib.contextmanager
def _hello_like(target: Target) -> Iterator[Contender]:
    """Asked as `target` is, and answers with as many bytes."""
    like = exchange(target.url, method=target.method, body=target.body, headers=target.headers)
    headers = {name: value for name, value in like.headers.items() if name not in ("Content-Length", "Date", "Server")}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"body": like.text, "headers": headers}, file)
        file.flush()
        command = [sys.executable, "-m", "bench.hello", "{fd}", file.name]
        with listening(command, "/hello", core=SERVER_CORE) as server:
            url = f"{server.public}/hello"
            yield Contender(server.pid, Target(url, target.method, target.body, target.headers))


def _hello(_cloud: Cloud, running: Signer) -> contextlib.AbstractContextManager[Contender]:
    return _hello_like(open_target(running.public))


def _hello_posted(_cloud: Cloud, running: Signer) -> contextlib.AbstractContextManager[Contender]:
    return _hello_like(uploads_target(running.public))


@contextlib.contextmanager
def _open_app(_cloud: Cloud, running: Signer) -> Iterator[Contender]:
    yield Contender(running.pid, open_target(running.public))


@contextlib.contextmanager
def _exact_key(cloud: Cloud, running: Signer) -> Iterator[Contender]:
    call(f"{cloud.oss}/-/wechat/apps/wechat", method="PUT", body={"secret": definitions.WECHAT_SECRET})
    login = {"appid": definitions.WECHAT, "user": "bench"}
    code = call(f"{cloud.oss}/-/wechat/codes", method="POST", body=login)["code"]
    url = f"{running.public}/generate_signature?app_id={definitions.WECHAT}&filename=photo.jpg"
    session = exchange(url, headers={"X-WX-Code": code}).headers["X-Session"]
    yield Contender(running.pid, Target(url, headers={"X-Session": session}))


@contextlib.contextmanager
def _uploads(_cloud: Cloud, running: Signer) -> Iterator[Contender]:
    yield Contender(running.pid, uploads_target(running.public))


@contextlib.contextmanager
def _flask(cloud: Cloud, environ: dict[str, str]) -> Iterator[Contender]:
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--workers",
        "1",
        "--worker-class",
        "sync",
        "--bind",
        "fd://{fd}",
        "--no-control-socket",
    ]
    path = "/get_post_signature_for_oss_upload"
    environ = {
        "OSS_ACCESS_KEY_ID": "LTAI-local",
        "OSS_ACCESS_KEY_SECRET": "local-secret",
        "OSS_STS_ROLE_ARN": "acs:ram::1234567890123456:role/oss-upload",
        "OSS_STS_ENDPOINT": cloud.sts,
        **environ,
    }
    with listening([*command, "bench.flask_sample"], path, core=SERVER_CORE, environ=environ) as server:
        yield Contender(server.pid, Target(server.public + path))


@contextlib.contextmanager
def _flask_in_memory(cloud: Cloud, _running: Signer) -> Iterator[Contender]:
    with _flask(cloud, {"CREDENTIALS": "memory"}) as contender:
        yield contender


@contextlib.contextmanager
def _flask_as_documented(cloud: Cloud, _running: Signer) -> Iterator[Contender]:
    @contextlib.contextmanager
    def slow_sts() -> Iterator[None]:
        cloud.set_faults(sts=[{"kind": "latency", "seconds": STS_LATENCY_SECONDS}])
        try:
            yield
        finally:
            cloud.set_faults()

    with _flask(cloud, {}) as contender:
        yield Contender(contender.pid, contender.target, slow_sts)


@contextlib.contextmanager
def _busy(cloud: Cloud, _running: Signer) -> Iterator[Contender]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        files = definitions.busy(cloud, directory, apps=10_000, roles=2, expires_seconds=6)
        with signer(directory, core=SERVER_CORE) as running:
            yield Contender(running.pid, open_target(running.public), lambda: disturbed(cloud, running, files))


ROWS = {
    "a": Row("aiohttp hello, the ceiling", _hello),
    "h": Row("the same, asked as (d) is", _hello_posted),
    "b": Row("signer: open app", _open_app),
    "c": Row("signer: caller and exact key", _exact_key),
    "d": Row("signer: POST uploads", _uploads),
    "e": Row("Flask sample, credentials held", _flask_in_memory),
    "f": Row("Flask sample as documented", _flask_as_documented),
    "g": Row("(b) under reloads and more", _busy),
}
