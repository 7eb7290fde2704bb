"""The file store detects edits by events of the system; unless a test sets it, it polls only once an hour."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import cast

import pytest

from signer.stores.file import FileStore
from signer.stores.protocol import CannotRead
from tests.e2e.layouts import WITH_EVENTS, Layout, config_map_of_equal_files
from tests.harness.files import link, write
from tests.harness.waiting import DEADLINE_SECONDS

Changes = AsyncGenerator[None]


def watching(store: FileStore) -> contextlib.aclosing[Changes]:
    return contextlib.aclosing(cast(Changes, store.watch()))


async def edit_until_detected(changes: Changes, edit: Callable[[], object]) -> None:
    """Repeat an edit until it is detected, because the first one may come before the watch has started."""
    detected = asyncio.ensure_future(anext(changes))
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not detected.done():
            edit()
            await asyncio.wait([detected], timeout=0.5)
    await detected


@pytest.mark.parametrize("layout", WITH_EVENTS)
async def test_edits_are_detected(layout: Layout, tmp_path: Path) -> None:
    config, edit = layout(tmp_path)
    numbers = iter(range(1, 10**6))
    edit(next(numbers))
    store = FileStore(config, poll_seconds=3600)
    former = await store.load()
    async with watching(store) as changes:
        for _ in range(2):
            await edit_until_detected(changes, lambda: edit(next(numbers)))
            snapshot = await store.load()
            assert snapshot.revision != former.revision
            former = snapshot


async def test_a_new_target_of_a_link_is_watched(tmp_path: Path) -> None:
    current = tmp_path / "current"
    numbers = iter(range(10**6))

    def turn() -> None:
        (fresh := tmp_path / f"release-{next(numbers)}").mkdir()
        write(fresh / "signer.yaml", fresh.name)
        link(current, fresh.name)

    turn()
    store = FileStore(current, poll_seconds=3600)
    await store.load()
    async with watching(store) as changes:
        await edit_until_detected(changes, turn)
        await store.load()
        await edit_until_detected(changes, lambda: write(current / "signer.yaml", f"edited {next(numbers)}"))


async def test_a_directory_that_was_created_again_is_watched(tmp_path: Path) -> None:
    """Most file systems give it the inode of the former one, unless another process gets it."""
    home = tmp_path / "etc"
    numbers = iter(range(10**6))

    def edit() -> None:
        write(home / "signer.yaml", str(next(numbers)))

    def create_again() -> None:
        former = home.stat().st_ino
        for _ in range(100):
            shutil.rmtree(home)
            home.mkdir()
            if home.stat().st_ino == former:
                break
        edit()

    home.mkdir()
    edit()
    store = FileStore(home, poll_seconds=3600)
    await store.load()
    async with watching(store) as changes:
        await edit_until_detected(changes, create_again)
        await store.load()
        await edit_until_detected(changes, edit)


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
