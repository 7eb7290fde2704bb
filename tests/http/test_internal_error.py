"""An unexpected failure is a 500 that reveals nothing to the client, and nothing secret to the log."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from signer.http.reply import Reply
from signer.http.router import Router
from signer.revision import Context
from signer.telemetry import logs
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service


async def _fail(_context: Context) -> Reply:
    raise RuntimeError("the secret is hunter2")


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_unexpected_failure_reveals_nothing(
    adapter: str, aiohttp_client: AiohttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_text = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    logs.configure_logging(log_text)
    router = Router()
    router.add("GET", "/", _fail)
    async with running_service("version: 1\ncredentials: {}\napps: {}\n") as service:
        client: TestClient[Any, Any] = await aiohttp_client(HttpTestServer(service, router, ADAPTERS[adapter]))
        async with client.get("/") as response:
            problem = await response.json(content_type="application/problem+json")
    assert response.status == 500
    assert (problem["code"], problem["request_id"]) == ("internal", response.headers["X-Request-Id"])
    assert "detail" not in problem
    assert "RuntimeError" in log_text.getvalue()
    assert "hunter2" not in log_text.getvalue() + str(problem)
