"""The status line for systemd, and the record of reloads that a signal requested."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from signer.live.reloader import Reloader
from signer.server.reload_record import ReloadRecord
from signer.server.supervision import Supervision
from signer.server.systemd_notify import ServiceManager
from signer.service import Service
from tests.admin.test_reload_endpoint import Certificate
from tests.harness.reloadable_service import reloadable_service

DEFINITIONS = """\
version: 1
credentials: {r: {type: static, access_key_id: x, access_key_secret: y}}
defaults: {region: cn-hangzhou, key_prefix: '', bucket: photos, credentials: r}
apps: {a: {}, b: {}}
"""
Running = SimpleNamespace


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    (config := tmp_path / "signer.yaml").write_text(DEFINITIONS, encoding="utf-8")
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}:/elsewhere")
    async with reloadable_service(config) as (service, reloader):
        yield Running(config=config, service=service, reloader=reloader, runtime=tmp_path)


def supervision(service: Service, reloader: Reloader, worker: int | None = None) -> Supervision:
    return Supervision(service, reloader, ServiceManager(), worker)


async def test_the_status_line_has_apps_roles_and_the_last_reload(running: Running) -> None:
    status = supervision(running.service, running.reloader).status()
    assert re.fullmatch(r"2 apps, 1 of 1 roles usable, definitions of [-0-9]+ [:0-9]+ UTC", status)
    assert supervision(running.service, running.reloader, 2).status().startswith("worker 2: 2 apps, ")
    running.config.write_text(DEFINITIONS.replace("bucket", "bukket"), encoding="utf-8")
    await running.reloader.reload("change")
    status = supervision(running.service, running.reloader).status()
    assert re.search(r", RELOAD REJECTED at .* UTC with 3 errors; the previous definitions stay active$", status)


async def test_the_record_has_the_process_and_each_result(running: Running) -> None:
    path = ReloadRecord.path(running.runtime, 3)
    supervised = supervision(running.service, running.reloader, 3)
    supervised.admin_url = "http://127.0.0.1:9182"
    await supervised.report_ready()
    assert ReloadRecord.read(path) == ReloadRecord(os.getpid(), "http://127.0.0.1:9182")

    running.config.write_text(DEFINITIONS.replace("b: {}", "c: {}"), encoding="utf-8")
    await supervised.reload()
    record = ReloadRecord.read(path)
    assert (record.succeeded, record.lines) == (True, ["- apps.b", "+ apps.c"])
    assert record.reload_started_at > 0
    assert record.admin_url == "http://127.0.0.1:9182"

    running.config.write_text(DEFINITIONS.replace("bucket", "bukket"), encoding="utf-8")
    await supervised.reload()
    rejected = ReloadRecord.read(path)
    assert rejected.succeeded is False
    assert rejected.lines[0].startswith(f"{running.config}:3:")
    assert rejected.reload_started_at > record.reload_started_at


async def test_an_unusable_certificate_fails_the_reload(running: Running) -> None:
    running.reloader.certificate = Certificate("server.tls.key: is encrypted")
    await supervision(running.service, running.reloader).reload()
    record = ReloadRecord.read(ReloadRecord.path(running.runtime, None))
    assert (record.succeeded, record.lines) == (False, ["server.tls.key: is encrypted"])


async def test_a_record_that_cannot_be_written_is_logged(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(running.runtime / "none"))
    await supervision(running.service, running.reloader).report_ready()
    assert "reload result not recorded" in caplog.messages


async def test_without_a_runtime_directory_nothing_is_written(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    await supervision(running.service, running.reloader).report_ready()
    assert list(running.runtime.glob("worker-*")) == []
