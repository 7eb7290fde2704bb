"""A bug of ours is a 500 that tells the caller nothing, and the log no values."""

from __future__ import annotations

import io
import logging
from typing import Any, cast

import aiohttp
import pytest

from signer import logs
from signer.credentials.cache import RoleSet
from signer.definitions.parse import parse
from signer.metrics import Metrics
from signer.service import Revision, Service
from signer.web.front import Front
from signer.web.listeners import runner
from signer.web.public import Public
from signer.web.request_log import RequestLog
from signer.web.sites import Site, url_of
from signer.web.sockets import listening


class Broken:
    """A service that fails in a way nobody foresaw."""

    metrics = Metrics()
    current = Revision(parse({"a.yaml": "version: 1\ncredentials: {}\napps: {}\n"}, {}), RoleSet(), {})

    async def ask(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("the secret is hunter2")


async def test_a_bug_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    logs.set_up(said)
    broken = cast(Service, Broken())
    listener = runner(Front(broken, Public(broken).routes(), RequestLog()))
    await listener.setup()
    with listening("127.0.0.1:0") as sock:
        await Site(listener, sock).start()
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url_of(sock)}/v1/apps/a/uploads", json={}) as answer,
        ):
            body = await answer.json(content_type="application/problem+json")
        await listener.cleanup()
    assert answer.status == 500
    assert (body["code"], body["request_id"]) == ("internal", answer.headers["X-Request-Id"])
    assert "detail" not in body
    assert "RuntimeError" in said.getvalue()
    assert "hunter2" not in said.getvalue() + str(body)
