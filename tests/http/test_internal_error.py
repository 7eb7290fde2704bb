"""An unexpected failure is a 500 that reveals nothing to the client, and nothing secret to the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from signer.http.reply import Reply
from signer.http.router import Router
from signer.revision import Context
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service
from tests.harness.log_file import log_file


async def _fail(_context: Context) -> Reply:
    raise RuntimeError("the secret is hunter2")


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_unexpected_failure_reveals_nothing(adapter: str, aiohttp_client: AiohttpClient, tmp_path: Path) -> None:
    router = Router()
    router.add("GET", "/", _fail)
    with log_file(tmp_path / "log") as log:
        async with running_service("version: 1\ncredentials: {}\napps: {}\n") as service:
            client: TestClient[Any, Any] = await aiohttp_client(HttpTestServer(service, router, ADAPTERS[adapter]))
            async with client.get("/") as response:
                problem = await response.json(content_type="application/problem+json")
        text = log.read()
    assert response.status == 500
    assert (problem["code"], problem["request_id"]) == ("internal", response.headers["X-Request-Id"])
    assert "detail" not in problem
    assert "RuntimeError" in text
    assert "hunter2" not in text + str(problem)
