"""A reload activates valid definitions as a whole, and an invalid edit or an unreadable store changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signer.environment import CannotReadEnvironment, Environment
from signer.live.definition_source import DefinitionSource
from signer.live.last_good import LastGoodFile
from signer.live.reloader import Reloader
from signer.service import Service
from signer.stores.protocol import CannotRead, Snapshot
from tests.harness.waiting import wait_until
from tests.stores.signer_calls import definitions


class MemoryStore:
    """A store whose content the test sets."""

    location = "memory"

    def __init__(self, text: str) -> None:
        self.text = text
        self.failure: Exception | None = None
        self.revision = 0

    def edit(self, text: str) -> None:
        self.text = text
        self.revision += 1

    async def load(self) -> Snapshot:
        if self.failure is not None:
            raise self.failure
        return Snapshot({"signer.yaml": self.text}, str(self.revision))

    async def watch(self) -> AsyncIterator[None]:
        yield

    async def close(self) -> None: ...


class Certificate:
    """A certificate that records how often it was renewed."""

    error: str | None = None
    is_retrying = False
    expires_at = datetime(2030, 1, 1, tzinfo=UTC)

    def __init__(self) -> None:
        self.triggers: list[str] = []

    async def renew(self, trigger: str) -> None:
        self.triggers.append(trigger)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(definitions("a"))


def source_of(store: MemoryStore, last_good: LastGoodFile | None = None) -> DefinitionSource:
    return DefinitionSource(store, Environment({}), last_good=last_good)


@contextlib.asynccontextmanager
async def running(source: DefinitionSource) -> AsyncIterator[tuple[Service, Reloader]]:
    registry, started = await source.start()
    async with Service(registry, Environment({})) as service:
        yield service, Reloader(source, service, started)


@pytest.fixture
async def started(store: MemoryStore) -> AsyncIterator[tuple[Service, Reloader]]:
    async with running(source_of(store)) as both:
        yield both


def logged(caplog: pytest.LogCaptureFixture, message: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.message == message]


async def test_an_edit_becomes_active(
    store: MemoryStore, started: tuple[Service, Reloader], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    service, reloader = started
    store.edit(definitions("a", "b"))
    result = await reloader.reload("change")
    assert (result.succeeded, result.trigger, result.revision) == (True, "change", "1")
    assert result.changes == ("+ apps.b",)
    assert set(service.current.registry.apps) == {"a", "b"}
    assert reloader.last is result
    [record] = logged(caplog, "definitions reloaded")
    assert vars(record)["changes"] == ["+ apps.b"]


async def test_mistakes_leave_the_active_definitions(
    store: MemoryStore, started: tuple[Service, Reloader], caplog: pytest.LogCaptureFixture
) -> None:
    service, reloader = started
    before = service.current
    store.edit(definitions("a").replace("bucket", "bukket"))
    result = await reloader.reload("change")
    assert (result.succeeded, result.revision) == (False, "0")
    assert "apps.a.bukket" in "\n".join(map(str, result.mistakes))
    assert service.current is before
    [record] = logged(caplog, "reload rejected")
    assert vars(record)["mistakes"] == [str(mistake) for mistake in result.mistakes]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (CannotRead("memory: unreachable"), "memory: unreachable"),
        (RuntimeError("a secret"), "internal error; see the log for its traceback"),
    ],
)
async def test_a_failing_store_leaves_the_active_definitions(
    store: MemoryStore, started: tuple[Service, Reloader], failure: Exception, error: str
) -> None:
    service, reloader = started
    before = service.current
    store.failure = failure
    result = await reloader.reload("request")
    assert (result.succeeded, result.error) == (False, error)
    assert service.current is before
    store.failure = None
    assert (await reloader.reload("change")).succeeded, "the same revision is active again"


async def test_a_store_that_never_responds_is_an_error(
    store: MemoryStore, started: tuple[Service, Reloader], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load() -> Snapshot:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(store, "load", load)
    monkeypatch.setattr("signer.live.definition_source._LOAD_SECONDS", 0.05)
    result = await started[1].reload("request")
    assert (result.error, result.is_retrying) == ("memory: no response within 0.05 s", True)


async def test_an_unchanged_revision_is_not_activated_again(
    store: MemoryStore, started: tuple[Service, Reloader]
) -> None:
    service, reloader = started
    before, last = service.current, reloader.last
    assert await reloader.reload("change") is last
    assert service.current is before
    assert (await reloader.reload("request")) is not last, "a request always reloads"


async def test_a_setting_that_needs_a_restart_is_reported_until_it_is_undone(
    store: MemoryStore, started: tuple[Service, Reloader], caplog: pytest.LogCaptureFixture
) -> None:
    _, reloader = started
    original = store.text
    for app in ("b", "c"):
        store.edit(definitions(app).replace('listen: "127.0.0.1:0"', 'listen: "127.0.0.1:1"'))
        assert (await reloader.reload("change")).needs_restart == ("server.listen",)
    assert [vars(record)["setting"] for record in logged(caplog, "changed setting needs a restart")] == [
        "server.listen",
        "server.listen",
    ]
    store.edit(original)
    assert (await reloader.reload("change")).needs_restart == ()


async def test_another_secret_takes_effect_without_a_restart(
    store: MemoryStore, started: tuple[Service, Reloader]
) -> None:
    service, reloader = started
    for secret in ("s" * 32, f"[{'t' * 32}, {'s' * 32}]"):
        store.edit(definitions("b").replace('listen: "127.0.0.1:0"', f'listen: "127.0.0.1:0", secret: {secret}'))
        assert (await reloader.reload("change")).needs_restart == ()
    active = service.current.registry.server.secret
    assert [each.get_secret_value() for each in active] == ["t" * 32, "s" * 32]


async def test_only_a_requested_reload_renews_the_certificate(
    store: MemoryStore, started: tuple[Service, Reloader]
) -> None:
    _, reloader = started
    certificate = Certificate()
    reloader.certificate = certificate
    for trigger in ("change", "request", "SIGHUP"):
        await reloader.reload(trigger)
    assert certificate.triggers == ["request", "SIGHUP"]


async def test_constructing_a_reloader_records_nothing(
    started: tuple[Service, Reloader], caplog: pytest.LogCaptureFixture
) -> None:
    service, reloader = started
    assert b'oss_signer_config_reloads_total{outcome="success"}' not in service.metrics.exposition()
    reloader.record_start()
    assert b'oss_signer_config_reloads_total{outcome="success"} 1.0' in service.metrics.exposition()
    assert caplog.records == []


async def test_a_start_without_the_store_uses_the_last_good_copy(
    store: MemoryStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = source_of(store, LastGoodFile("memory", tmp_path))
    await source.start()
    store.failure = CannotRead("memory: unreachable")
    async with running(source) as (service, reloader):
        reloader.record_start()
        assert set(service.current.registry.apps) == {"a"}
        assert not reloader.last.succeeded
        assert str(reloader.last.error).startswith("memory: unreachable; running on the last good copy of ")
        [record] = logged(caplog, "started from the last good copy")
        assert vars(record)["revision"] == "0"
        store.failure = None
        assert (await reloader.reload("change")).succeeded


async def test_a_start_without_store_and_copy_fails(store: MemoryStore, tmp_path: Path) -> None:
    last_good = LastGoodFile("memory", tmp_path)
    store.failure = CannotRead("memory: unreachable")
    with pytest.raises(CannotRead, match="unreachable\nand there is no last good copy"):
        await source_of(store, last_good).start()
    last_good.path.write_text(
        '{"files": {"a": "version: 2"}, "revision": "0", "saved_at": "2026-01-01T00:00:00+00:00"}'
    )
    with pytest.raises(CannotRead, match="unreachable\nand the last good copy is invalid too"):
        await source_of(store, last_good).start()


async def test_a_copy_or_environment_file_that_is_a_pipe_never_hangs(store: MemoryStore, tmp_path: Path) -> None:
    last_good = LastGoodFile("memory", tmp_path)
    os.mkfifo(last_good.path)
    store.failure = CannotRead("memory: unreachable")
    with pytest.raises(
        CannotRead, match=r"unreachable\nand the last good copy cannot be read: .*: Not a regular file$"
    ):
        await source_of(store, last_good).start()
    for path in (last_good.path, Path("/dev/zero")):
        with pytest.raises(CannotReadEnvironment, match=f"^{path}: Not a regular file; give its path with --env-file$"):
            Environment({}, path).read()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"1" * 10_000,
        b"[" * 1_000_000,
        b"\xff\xfe",
        b'{"files": [], "revision": "0", "saved_at": "2026-01-01T00:00:00+00:00"}',
        b'{"files": {"a": 1}, "revision": "0", "saved_at": "2026-01-01T00:00:00+00:00"}',
        b'{"files": {"a": "\\ud800"}, "revision": "0", "saved_at": "2026-01-01T00:00:00+00:00"}',
        b'{"files": {"\\udfff": "x"}, "revision": "\\udfff", "saved_at": "2026-01-01T00:00:00+00:00"}',
        b'{"files": {"a": "x"}, "revision": "0", "saved_at": "2026-01-01"}',
        b'{"files": {"a": "x"}, "revision": "0", "saved_at": 1e300}',
    ],
)
async def test_an_odd_copy_is_an_error_with_its_path(store: MemoryStore, tmp_path: Path, content: bytes) -> None:
    last_good = LastGoodFile("memory", tmp_path)
    last_good.path.write_bytes(content)
    store.failure = CannotRead("memory: unreachable")
    with pytest.raises(CannotRead) as raised:
        await source_of(store, last_good).start()
    assert str(raised.value) == f"memory: unreachable\nand the last good copy is damaged: {last_good.path}; remove it"


async def test_a_directory_in_place_of_the_copy_is_an_error_with_its_path(store: MemoryStore, tmp_path: Path) -> None:
    last_good = LastGoodFile("memory", tmp_path)
    last_good.path.mkdir()
    store.failure = CannotRead("memory: unreachable")
    with pytest.raises(CannotRead, match=r"and the last good copy cannot be read: .*\.json: Is a directory$"):
        await source_of(store, last_good).start()


async def test_a_rejected_edit_does_not_replace_the_last_good_copy(store: MemoryStore, tmp_path: Path) -> None:
    last_good = LastGoodFile("memory", tmp_path)
    source = source_of(store, last_good)
    async with running(source) as (_, reloader):
        store.edit("version: 2\n")
        assert not (await reloader.reload("change")).succeeded
        copy = await last_good.read()
        assert copy.snapshot.revision == "0"
        store.edit(definitions("b"))
        assert (await reloader.reload("change")).succeeded
        copy = await last_good.read()
        assert copy.snapshot.files == {"signer.yaml": definitions("b")}


async def test_follow_reloads_on_each_change_and_survives_a_broken_watch(store: MemoryStore) -> None:
    async def two_changes_and_an_error() -> AsyncIterator[None]:
        for app in ("b", "c"):
            store.edit(definitions(app))
            yield
        raise RuntimeError

    store.watch = two_changes_and_an_error  # type: ignore[method-assign]
    source = source_of(store)
    registry, result = await source.start()
    async with Service(registry, Environment({})) as service:
        reloader = Reloader(source, service, result, watch_retry_seconds=0)
        following = asyncio.create_task(reloader.follow())
        try:
            await wait_until(lambda: int(reloader.last.revision) >= 4)
        finally:
            following.cancel()
