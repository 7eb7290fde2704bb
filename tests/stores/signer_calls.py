"""Definitions for tests of stores, and calls of the signer and its commands."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import Mapping
from unittest.mock import patch

from signer.cli import main
from signer.stores.protocol import CannotRead
from signer.stores.store_factory import open_store
from tests.harness.processes import Completed
from tests.harness.signer import Signer


def definitions(*apps: str, extra: str = "") -> str:
    """Return YAML with these apps, which need no cloud to sign."""
    listed = "".join(f"  {app}: {{key_prefix: '', bucket: photos}}\n" for app in apps)
    return (
        'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
        "credentials: {r: {type: static, access_key_id: LTAI-x, access_key_secret: '${KEY_SECRET:-fallback}'}}\n"
        f"defaults: {{region: cn-hangzhou, credentials: r}}\n{extra}apps:\n{listed}"
    )


def _environ(changes: dict[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"}
    return {**kept, **(changes or {})}


async def command(*arguments: object, environ: dict[str, str] | None = None) -> Completed:
    """Run a command other than `serve` in this process, which is faster than a new one; one at a time."""
    out, err = io.StringIO(), io.StringIO()

    def call() -> int:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            patch.dict(os.environ, _environ(environ), clear=True),
        ):
            return main([str(each) for each in arguments])

    status = await asyncio.to_thread(call)
    return Completed(status, out.getvalue(), err.getvalue())


async def load_error(url: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the message of the error that opening or loading a store raises; None without an error."""
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


async def serves(running: Signer, app: str) -> bool:
    """Return whether the signer has this app."""
    async with running.session.post(f"{running.public}/v1/apps/{app}/uploads", json={}) as answer:
        assert answer.status in (201, 404), await answer.text()
        return answer.status == 201
