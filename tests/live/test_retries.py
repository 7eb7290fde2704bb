"""Definitions that were rejected for a reason outside of their text become active by themselves once it has passed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from signer.definitions.mistakes import BadDefinitions
from signer.definitions.registry import Registry
from signer.environment import Environment
from signer.live.definition_source import DefinitionSource
from signer.live.last_good import LastGoodFile
from signer.live.reloader import Reloader
from signer.service import Service
from signer.stores.protocol import CannotRead, CannotUseText, Snapshot
from tests.harness.descriptors import no_free_descriptor
from tests.harness.files import replace
from tests.harness.hanging_directory import hanging_directory
from tests.harness.waiting import wait_until
from tests.live.test_reloader import MemoryStore, logged
from tests.stores.signer_calls import definitions


class QuietStore(MemoryStore):
    """A store that never reports a change, as its text does not change."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.loads = 0

    async def load(self) -> Snapshot:
        self.loads += 1
        return await super().load()

    async def watch(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield


@dataclass(frozen=True, slots=True)
class Running:
    """A running reloader and what it depends on."""

    store: QuietStore
    source: DefinitionSource
    service: Service
    reloader: Reloader
    secret: Path
    env_file: Path

    def edit(self, *hashes: str) -> None:
        """Add an app `b` whose API keys have these hashes."""
        keys = {f"k{number}": text for number, text in enumerate(hashes)}
        self.store.edit(
            f"{definitions('a')}  b: {{key_prefix: '', bucket: photos, callers: {{type: api_key, keys: {json.dumps(keys)}}}}}\n"
        )

    def apps(self) -> set[str]:
        """Return the active apps."""
        return set(self.service.current.registry.apps)

    def is_retrying(self) -> bool:
        """Return whether the metric shows that it is retried."""
        return b"oss_signer_config_reload_retrying 1.0" in self.service.metrics.exposition()


KEY = "0" * 60 + "1234"


@contextlib.asynccontextmanager
async def reloading(
    directory: Path, text: str = definitions("a"), last_good: LastGoodFile | None = None
) -> AsyncIterator[Running]:
    """Follow a store with this text; `${VALUE}` is in an environment file."""
    (env_file := directory / "env").write_text(f"VALUE={KEY}\n", encoding="utf-8")
    store = QuietStore(text)
    environment = Environment({}, env_file)
    source = DefinitionSource(store, environment, last_good=last_good)
    registry, started = await source.start()
    async with Service(registry, environment) as service:
        reloader = Reloader(source, service, started, poll_seconds=0.01)
        following = asyncio.create_task(reloader.follow())
        try:
            yield Running(store, source, service, reloader, directory / "secret", env_file)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda _: None, "No such file or directory; check the path and its permissions"),
        (lambda file: file.write_bytes(b"\xff"), "it is not UTF-8 text"),
        (lambda file: file.write_text("0" * 70_000), "it is larger than 64 KiB"),
        (lambda file: file.symlink_to("nothing"), "No such file or directory"),
        (lambda file: file.symlink_to(file), "Too many levels of symbolic links"),
    ],
)
async def test_a_secret_file_is_read_again_until_it_is_usable(
    spoil: Callable[[Path], object], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with reloading(tmp_path) as running:
        spoil(running.secret)
        running.edit(f"${{file:{running.secret}}}")
        result = await running.reloader.reload("change")
        assert not result.succeeded and result.is_retrying and running.is_retrying()
        assert reason in "\n".join(map(str, result.mistakes))
        replace(running.secret, "half of a key")
        await wait_until(lambda: "must be the SHA-256" in "\n".join(map(str, running.reloader.last.mistakes)))
        assert running.reloader.last.is_retrying, "the value is not in the text"
        replace(running.secret, KEY)
        await wait_until(lambda: running.reloader.last.succeeded)
        assert running.apps() == {"a", "b"}
        assert running.reloader.last.trigger == "retry"
        assert not running.is_retrying()
        rejected = [vars(record)["is_retrying"] for record in logged(caplog, "reload rejected")]
        assert rejected == [True, True], "once for each reason, though each poll tried again"


async def test_a_rejected_edit_leaves_nothing_in_memory(tmp_path: Path) -> None:
    """What it leaves until the next edit would be excluded from garbage collection then."""
    async with reloading(tmp_path) as running:
        running.edit(f"${{file:{running.secret}}}")
        assert (await running.reloader.reload("change")).is_retrying

        def is_released() -> bool:
            gc.collect()
            return not any(isinstance(each, BadDefinitions) for each in gc.get_objects())

        await wait_until(is_released)


async def test_an_environment_file_is_read_again_until_it_is_usable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with reloading(tmp_path) as running:
        running.edit("${VALUE}")
        running.env_file.unlink()
        result = await running.reloader.reload("change")
        assert not result.succeeded and result.is_retrying and running.is_retrying()
        assert result.error == f"{running.env_file}: No such file or directory; give its path with --env-file"
        replace(running.env_file, "OTHER=x\n")
        await wait_until(lambda: "${VALUE} is not set" in "\n".join(map(str, running.reloader.last.mistakes)))
        assert running.reloader.last.is_retrying
        replace(running.env_file, f"VALUE={KEY}\n")
        await wait_until(lambda: running.apps() == {"a", "b"})
        assert len(logged(caplog, "reload rejected")) == 2


async def test_a_secret_is_read_again_when_there_are_descriptors(tmp_path: Path) -> None:
    async with reloading(tmp_path) as running:
        running.secret.write_text(KEY)
        running.edit(f"${{file:{running.secret}}}")
        with no_free_descriptor():
            result = await running.reloader.reload("change")
            assert not result.succeeded and result.is_retrying
            assert "Too many open files" in str(result.error), "the environment file comes first"
        await wait_until(lambda: running.apps() == {"a", "b"})


async def test_definitions_that_could_not_be_activated_are_activated_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[str] = []

    async def activate(_registry: Registry, *, settle_seconds: float) -> None:
        attempts.append("activate")
        raise OSError(errno.EMFILE, "Too many open files")

    async with reloading(tmp_path) as running:
        running.edit("${VALUE}")
        with monkeypatch.context() as patch:
            patch.setattr(running.service, "activate", activate)
            result = await running.reloader.reload("change")
            assert (result.succeeded, result.is_retrying) == (False, True)
            assert result.error == "the definitions cannot be activated: Too many open files"
            await wait_until(lambda: len(attempts) >= 5)
            assert running.reloader.last is result, "it ends as before"
        await wait_until(lambda: running.apps() == {"a", "b"})
        assert len(logged(caplog, "reload rejected")) == 1
        assert b'reloads_total{outcome="failure"} 1.0' in running.service.metrics.exposition()


async def test_a_mistake_in_the_text_is_not_retried(tmp_path: Path) -> None:
    async with reloading(tmp_path) as running:
        running.store.edit(definitions("a").replace("bucket", "bukket"))
        result = await running.reloader.reload("change")
        assert not result.succeeded and not result.is_retrying and not running.is_retrying()
        loads = running.store.loads
        replace(running.env_file, f"VALUE={KEY}\nOTHER=x\n")
        await wait_until(lambda: running.store.loads > loads)
        assert running.reloader.last is result, "another environment ends it as before"
        running.store.edit(definitions("a").replace("bucket", "buket"))
        assert (await running.reloader.reload("change")) is not result


@pytest.mark.parametrize("failure", [CannotRead("memory: unreachable"), CannotUseText("memory: not UTF-8")])
async def test_a_store_reports_by_itself_when_it_can_be_read(failure: CannotRead, tmp_path: Path) -> None:
    async with reloading(tmp_path) as running:
        running.store.failure = failure
        result = await running.reloader.reload("change")
        assert (result.succeeded, result.is_retrying) == (False, failure.is_transient)
        assert await running.reloader.reload("change") is result
        assert await running.reloader.reload("request") is not result, "each request gets its own result"


async def test_the_last_good_copy_serves_until_the_secret_is_there(tmp_path: Path) -> None:
    last_good = LastGoodFile("memory", tmp_path)
    await last_good.write(Snapshot({"signer.yaml": definitions("a")}, "copy"))
    secret = tmp_path / "secret"
    text = definitions("b").replace("${KEY_SECRET:-fallback}", f"${{file:{secret}}}")
    async with reloading(tmp_path, text, last_good) as running:
        assert running.apps() == {"a"}
        last = running.reloader.last
        assert (last.succeeded, last.is_retrying, last.revision) == (False, True, "copy")
        assert not await running.source.has_environment_changed(), "no poll parses the same again"
        secret.write_text("a-secret")
        await wait_until(lambda: running.apps() == {"b"})


async def test_a_file_that_hangs_is_a_mistake_at_its_place(tmp_path: Path) -> None:
    async with hanging_directory(tmp_path) as mount, reloading(tmp_path) as running:
        files = [mount.path / str(number) for number in range(5)]
        for file in files:
            file.write_text(KEY)
        running.edit(*(f"${{file:{file}}}" for file in files))
        mount.hang()
        result = await running.reloader.reload("request")
        assert not result.succeeded and result.is_retrying
        reasons = [mistake.message.partition(" cannot be read: ")[2] for mistake in result.mistakes]
        hangs = "no response from its file system within 5 s; check its mount"
        assert reasons == [hangs] * 2 + ["not read, since the file systems of others hang; check its mount"] * 3
        assert [mistake.place.line for mistake in result.mistakes] == [7] * 5
        running.store.edit(definitions("c"))
        assert (await running.reloader.reload("change")).succeeded, "definitions without these files are active"
        running.edit(*(f"${{file:{file}}}" for file in files))
        assert not (await running.reloader.reload("change")).succeeded
        mount.respond()
        await wait_until(lambda: running.apps() == {"a", "b"})
