"""The signer and its commands as processes, on a store that is named by its URL."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import aiohttp

from signer.cli import main
from signer.stores.protocol import CannotRead
from signer.stores.store_factory import open_store
from tests.e2e.running import ROOT, START_SECONDS, Signer

PATIENCE_SECONDS = 30.0
"""Longer than anything here takes; who needs more hangs."""


def definitions(*apps: str, extra: str = "") -> str:
    """YAML with these apps, which sign without any cloud."""
    listed = "".join(f"  {app}: {{bucket: photos}}\n" for app in apps)
    return (
        'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
        "credentials: {r: {type: static, access_key_id: LTAI-x, access_key_secret: '${KEY_SECRET:-fallback}'}}\n"
        f"defaults: {{region: cn-hangzhou, credentials: r}}\n{extra}apps:\n{listed}"
    )


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


async def run(*arguments: object, environ: dict[str, str] | None = None) -> Result:
    """`python run.py ...` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "run.py",
        *map(str, arguments),
        cwd=ROOT,
        env=_environ(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Result(process.returncode, out.decode(), err.decode())


def _environ(changes: dict[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"}
    return {**kept, **(changes or {})}


async def command(*arguments: object, environ: dict[str, str] | None = None) -> Result:
    """As `run`, but in this process, which has loaded everything already; not for `serve`, and one at a time."""
    out, err = io.StringIO(), io.StringIO()

    def call() -> int:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            patch.dict(os.environ, _environ(environ), clear=True),
        ):
            return main([str(each) for each in arguments])

    status = await asyncio.to_thread(call)
    return Result(status, out.getvalue(), err.getvalue())


async def why_not(url: str, environ: Mapping[str, str] | None = None) -> str | None:
    """What `check` would say of a store that gives nothing, without a process for it; None when it gives something."""
    try:
        store = open_store(url, environ or {})
    except CannotRead as error:
        return str(error)
    try:
        await store.load()
    except CannotRead as error:
        return str(error)
    finally:
        await store.close()
    return None


@contextlib.asynccontextmanager
async def signer_on(
    session: aiohttp.ClientSession, url: object, *arguments: object, environ: dict[str, str] | None = None
) -> AsyncIterator[Signer]:
    """`python run.py serve --config URL`, once it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "run.py",
        "serve",
        "--config",
        str(url),
        *map(str, arguments),
        cwd=ROOT,
        env=_environ(environ),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    output: list[str] = []
    addresses: dict[str, str] = {}
    ready = asyncio.Event()

    async def read(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            output.append(line.decode())
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry["message"] == "listening":
                    addresses.update(entry)
                if entry["message"] == "ready":
                    ready.set()
        ready.set()

    reading = asyncio.create_task(read(process.stderr))
    try:
        async with asyncio.timeout(START_SECONDS):
            await ready.wait()
        assert "public" in addresses, "".join(output)
        yield Signer(addresses["public"], addresses["admin"], process, session, output)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await reading


async def serves(running: Signer, app: str) -> bool:
    async with running.session.post(f"{running.public}/v1/apps/{app}/uploads", json={}) as answer:
        assert answer.status in (201, 404), await answer.text()
        return answer.status == 201


async def is_ready(running: Signer) -> bool:
    async with running.session.get(f"{running.admin}/readyz") as answer:
        return answer.status == 200


async def last_reload(running: Signer) -> dict[str, Any]:
    async with running.session.get(f"{running.admin}/status") as answer:
        status = await answer.json()
        found: dict[str, Any] = status["last_reload"]
        return found


async def reload(running: Signer) -> int:
    async with running.session.post(f"{running.admin}/-/reload") as answer:
        return answer.status


async def eventually(happened: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again until it has happened."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await happened():
            await asyncio.sleep(0.05)
