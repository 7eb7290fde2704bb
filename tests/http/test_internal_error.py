"""A bug of ours is a 500 that tells the caller nothing, and the log no values."""

from __future__ import annotations

import io
import logging
from typing import Any, cast

import aiohttp
import pytest

from signer.api.public import Public
from signer.credentials.role_set import RoleSet
from signer.definitions.parser import parse
from signer.http.dispatch import Front
from signer.http.request_log import RequestLog
from signer.listen_address import ListenAddress
from signer.revision import Revision
from signer.server.listeners import runner
from signer.server.sites import Site, url_of
from signer.server.sockets import listening_socket
from signer.service import Service
from signer.telemetry import logs
from signer.telemetry.metrics import Metrics


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
    logs.configure_logging(said)
    broken = cast(Service, Broken())
    listener = runner(Front(broken, Public(broken).routes(), RequestLog()))
    await listener.setup()
    with listening_socket(ListenAddress.parse("127.0.0.1:0")) as sock:
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
