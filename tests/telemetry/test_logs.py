"""What a terminal would not show as it is, is escaped in each line of a log, and nothing of it is lost."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient
from yarl import URL

from signer.http.request_log import RequestLog
from signer.http.router import Router
from signer.telemetry import logs
from signer.telemetry.audit import AuditLog
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service

# C0, DEL, C1, the changes of direction, a line separator, a byte order mark and a tag character.
HOSTILE = "\x1b[2J\x7f\x85\x9b\u061c\u200e\u202e\u2066\u2028\ufeff\U000e0001"


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setattr(logging.getLogger(), "handlers", list(logging.getLogger().handlers))
    logs.configure_logging(stream := io.StringIO())
    return stream


def test_fields_and_messages_of_every_module(output: io.StringIO) -> None:
    logging.getLogger("oss_signer.any").warning("照片 %s", HOSTILE, extra={"field": [HOSTILE], HOSTILE: 1})
    [line] = output.getvalue().splitlines()
    assert line.isprintable()
    assert "照片" in line
    fields = json.loads(line)
    assert (fields["message"], fields["field"], fields[HOSTILE]) == (f"照片 {HOSTILE}", [HOSTILE], 1)


async def test_audit_lines(tmp_path: Path) -> None:
    audit = AuditLog(str(tmp_path / "audit.log"))
    audit.add("signature", {"key": f"照片{HOSTILE}"})
    audit.add("signature", {"key": f"\ud83d{HOSTILE}"})
    await audit.close()
    whole, surrogate = (tmp_path / "audit.log").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert whole.isprintable()
    assert surrogate.isprintable()
    assert "照片" in whole
    assert json.loads(whole)["key"] == f"照片{HOSTILE}"
    assert json.loads(surrogate)["key"] == f"\ud83d{HOSTILE}"


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_request_lines(
    adapter: str, output: io.StringIO, aiohttp_client: AiohttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_logs: list[RequestLog] = []

    class KeptRequestLog(RequestLog):
        def __init__(self) -> None:
            super().__init__()
            request_logs.append(self)

    monkeypatch.setattr("tests.harness.http_service.RequestLog", KeptRequestLog)
    async with running_service("version: 1\ncredentials: {}\napps: {}\n") as service:
        client: TestClient[Any, Any] = await aiohttp_client(HttpTestServer(service, Router(), ADAPTERS[adapter]))
        async with client.get(URL(f"/{quote(HOSTILE)}", encoded=True)) as response:
            assert response.status == 404
        await request_logs[0].close()
    [line] = [line for line in output.getvalue().split("\n") if '"request"' in line]
    assert line.isprintable()
    assert json.loads(line)["path"] == f"/{HOSTILE}"
