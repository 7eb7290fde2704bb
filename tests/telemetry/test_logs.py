"""What a terminal would not show as it is, is escaped in each line of a log, and nothing of it is lost."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient
from yarl import URL

from signer.http.router import Router
from signer.telemetry.audit import AuditLog
from signer.telemetry.logs import current_handler
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service
from tests.harness.log_file import LogFile, log_file

# C0, DEL, C1, the changes of direction, a line separator, a byte order mark and a tag character.
HOSTILE = "\x1b[2J\x7f\x85\x9b\u061c\u200e\u202e\u2066\u2028\ufeff\U000e0001"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFile]:
    with log_file(tmp_path / "log") as log:
        yield log


def test_fields_and_messages_of_every_module(log: LogFile) -> None:
    logging.getLogger("oss_signer.any").warning("照片 %s", HOSTILE, extra={"field": [HOSTILE], HOSTILE: 1})
    [line] = log.read().removesuffix("\n").split("\n")
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
async def test_request_lines(adapter: str, log: LogFile, aiohttp_client: AiohttpClient) -> None:
    async with running_service("version: 1\ncredentials: {}\napps: {}\n") as service:
        client: TestClient[Any, Any] = await aiohttp_client(HttpTestServer(service, Router(), ADAPTERS[adapter]))
        async with client.get(URL(f"/{quote(HOSTILE)}", encoded=True)) as response:
            assert response.status == 404
    [line] = [line for line in log.read().split("\n") if '"request"' in line]
    assert line.isprintable()
    assert json.loads(line)["path"] == f"/{HOSTILE}"


def test_a_call_that_does_not_fit_its_arguments_is_logged_with_its_place(log: LogFile) -> None:
    """As libraries make them; the standard library would print them to stderr."""
    record = logging.getLogger("library").makeRecord("library", logging.INFO, "lib.py", 7, "%d", ("s3cret",), None)
    handler = current_handler()
    assert handler is not None
    handler.handle(record)
    entry = json.loads(log.read())
    assert (entry["message"], entry["logger"], entry["level"]) == ("log call failed", "library", "error")
    assert entry["place"] == "lib.py:7"
    assert "s3cret" not in str(entry)
