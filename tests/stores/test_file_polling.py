"""The file store polls its files, and reads them as they were at one moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

import pytest

from signer.stores.file import FileStore
from signer.stores.file_polling import FilePoller, FilesKeepChanging
from signer.stores.protocol import CannotRead
from tests.e2e.layouts import LAYOUTS, Layout, config_map_of_equal_files
from tests.harness.descriptors import no_free_descriptor
from tests.harness.files import write
from tests.harness.hanging_directory import hanging_directory
from tests.harness.waiting import DEADLINE_SECONDS

Changes = AsyncGenerator[None]


def watching(store: FileStore) -> contextlib.aclosing[Changes]:
    return contextlib.aclosing(cast(Changes, store.watch()))


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_each_edit_is_detected(layout: Layout, tmp_path: Path) -> None:
    config, edit = layout(tmp_path)
    edit(1)
    store = FileStore(config, poll_seconds=0.02)
    former = await store.load()
    async with watching(store) as changes, asyncio.timeout(DEADLINE_SECONDS):
        for number in (2, 3, 4):
            edit(number)
            await anext(changes)
            snapshot = await store.load()
            assert snapshot.revision != former.revision
            former = snapshot


async def test_an_edit_in_a_directory_that_was_created_again_is_detected(tmp_path: Path) -> None:
    (home := tmp_path / "etc").mkdir()
    write(home / "signer.yaml", "1")
    store = FileStore(home, poll_seconds=0.02)
    await store.load()
    async with watching(store) as changes, asyncio.timeout(DEADLINE_SECONDS):
        shutil.rmtree(home)
        home.mkdir()
        write(home / "signer.yaml", "2")
        await anext(changes)
        assert list((await store.load()).files.values()) == ["2"]
        write(home / "signer.yaml", "3")
        await anext(changes)


async def test_a_missing_file_is_reported_once(tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", "1")
    store = FileStore(config, poll_seconds=0.02)
    await store.load()
    async with watching(store) as changes:
        config.unlink()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await anext(changes)
        with pytest.raises(CannotRead):
            await store.load()
        again = asyncio.ensure_future(anext(changes))
        await asyncio.wait([again], timeout=0.5)
        assert not again.done()
        write(config, "1")
        async with asyncio.timeout(DEADLINE_SECONDS):
            await again
        assert list((await store.load()).files.values()) == ["1"]


async def test_a_file_is_loaded_after_it_was_written(tmp_path: Path) -> None:
    """While a file grows in many small writes, it is loaded a few times at most, also on a slow machine."""
    write(config := tmp_path / "signer.yaml", "")
    store = FileStore(config, poll_seconds=0.02)
    await store.load()
    loads = 0

    async def follow() -> None:
        nonlocal loads
        async with watching(store) as changes:
            async for _ in changes:
                loads += 1
                if len((await store.load()).files[str(config)]) == 50:
                    return

    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(follow())
        with config.open("w", encoding="utf-8") as stream:
            for _ in range(50):
                stream.write("x")
                stream.flush()
                await asyncio.sleep(0.02)
    assert loads < 25, "far fewer loads than writes"


async def test_files_of_two_versions_are_never_mixed(tmp_path: Path) -> None:
    """All files of a version have the same content, and the link to the version changes all the time."""
    config, edit = config_map_of_equal_files(tmp_path)
    edit(0)
    store = FileStore(config)
    stop = threading.Event()

    def keep_editing() -> None:
        number = 0
        while not stop.is_set():
            edit(number := number + 1)

    editing = asyncio.create_task(asyncio.to_thread(keep_editing))
    try:
        loaded = 0
        async with asyncio.timeout(DEADLINE_SECONDS):
            while loaded < 20:
                with contextlib.suppress(CannotRead):
                    assert len(set((await store.load()).files.values())) == 1
                    loaded += 1
    finally:
        stop.set()
        await editing


@pytest.fixture
def poller(tmp_path: Path) -> FilePoller:
    write(tmp_path / "file", "")
    return FilePoller(lambda: [str(tmp_path / "file")], poll_seconds=0.02)


async def test_a_read_during_a_change_is_repeated(poller: FilePoller, tmp_path: Path) -> None:
    contents = iter(["mixed", "whole"])

    def read() -> str:
        content = next(contents)
        if content == "mixed":
            write(tmp_path / "file", content)
        return content

    assert await poller.read(read) == "whole"


async def test_an_error_counts_only_without_a_change(poller: FilePoller, tmp_path: Path) -> None:
    attempts: list[int] = []

    def read() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            write(tmp_path / "file", "changed")
            raise FileNotFoundError
        return "content"

    assert await poller.read(read) == "content"

    def fail() -> str:
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        await poller.read(fail)


async def test_files_that_never_rest_are_an_error(poller: FilePoller, tmp_path: Path) -> None:
    sizes = iter(range(1, 1000))

    def read() -> None:
        write(tmp_path / "file", "x" * next(sizes))

    with pytest.raises(FilesKeepChanging):
        await poller.read(read)


async def test_files_that_could_not_be_read_are_read_again_without_a_change(tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", "1")
    for path in (config, tmp_path):
        store = FileStore(path, poll_seconds=0.02)
        with no_free_descriptor(), pytest.raises(CannotRead, match="Too many open files") as raised:
            await store.load()
        assert raised.value.is_transient
        async with watching(store) as changes, asyncio.timeout(DEADLINE_SECONDS):
            await anext(changes)
            await anext(changes)
            assert list((await store.load()).files.values()) == ["1"]
            again = asyncio.ensure_future(anext(changes))
            await asyncio.wait([again], timeout=0.5)
            assert not again.done(), "they were read"
            again.cancel()
            await asyncio.gather(again, return_exceptions=True)


async def test_a_mistake_in_the_text_is_read_again_only_after_a_change(tmp_path: Path) -> None:
    (config := tmp_path / "signer.yaml").write_bytes(b"\xff")
    store = FileStore(config, poll_seconds=0.02)
    with pytest.raises(CannotRead, match="not UTF-8") as raised:
        await store.load()
    assert not raised.value.is_transient
    async with watching(store) as changes:
        change = asyncio.ensure_future(anext(changes))
        await asyncio.wait([change], timeout=0.5)
        assert not change.done()
        write(config, "1")
        async with asyncio.timeout(DEADLINE_SECONDS):
            await change


async def test_a_file_system_that_hangs_is_an_error_until_it_responds(tmp_path: Path) -> None:
    async with hanging_directory(tmp_path) as mount:
        write(mount.path / "signer.yaml", "1")
        store = FileStore(mount.path, poll_seconds=0.02)
        assert list((await store.load()).files.values()) == ["1"]
        mount.hang()
        for _ in range(2):
            with pytest.raises(CannotRead, match=r"no response from its file system within 5 s; check its mount$"):
                await store.load()
        async with watching(store) as changes, asyncio.timeout(DEADLINE_SECONDS):
            mount.respond()
            await anext(changes)
            assert list((await store.load()).files.values()) == ["1"]


async def test_a_pipe_or_a_device_is_rejected_at_once(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "signer.yaml")
    for path, text in ((pipe, pipe), (tmp_path, pipe), (Path("/dev/zero"), "/dev/zero")):
        with pytest.raises(CannotRead, match=f"^{text}: Not a regular file; give the path of the YAML with --config$"):
            await FileStore(path).load()
