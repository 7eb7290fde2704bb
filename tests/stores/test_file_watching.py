"""The file store hears of edits from the system: where nothing else is said it looks on its own once an hour."""

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

Told = AsyncGenerator[None]


def watching(store: FileStore) -> contextlib.aclosing[Told]:
    return contextlib.aclosing(cast(Told, store.watch()))


async def until_told(told: Told, edit: Callable[[], object]) -> None:
    """Nobody says when the watch is on, so an edit may come too early to be told: it is made again and again."""
    telling = asyncio.ensure_future(anext(told))
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not telling.done():
            edit()
            await asyncio.wait([telling], timeout=0.5)
    await telling


@pytest.mark.parametrize("layout", WITH_EVENTS)
async def test_edits_are_told(layout: Layout, tmp_path: Path) -> None:
    config, edit = layout(tmp_path)
    numbers = iter(range(1, 10**6))
    edit(next(numbers))
    store = FileStore(config, poll_seconds=3600)
    former = await store.load()
    async with watching(store) as told:
        for _ in range(2):
            await until_told(told, lambda: edit(next(numbers)))
            snapshot = await store.load()
            assert snapshot.revision != former.revision
            former = snapshot


async def test_a_directory_that_is_another_now_is_watched(tmp_path: Path) -> None:
    current = tmp_path / "current"
    numbers = iter(range(10**6))

    def turn() -> None:
        (fresh := tmp_path / f"release-{next(numbers)}").mkdir()
        write(fresh / "signer.yaml", fresh.name)
        link(current, fresh.name)

    turn()
    store = FileStore(current, poll_seconds=3600)
    await store.load()
    async with watching(store) as told:
        await until_told(told, turn)
        await store.load()
        await until_told(told, lambda: write(current / "signer.yaml", f"edited {next(numbers)}"))


async def test_a_directory_that_was_made_anew_is_watched(tmp_path: Path) -> None:
    """Most file systems give it the inode of the one before, if nobody else is faster."""
    home = tmp_path / "etc"
    numbers = iter(range(10**6))

    def edit() -> None:
        write(home / "signer.yaml", str(next(numbers)))

    def make_anew() -> None:
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
    async with watching(store) as told:
        await until_told(told, make_anew)
        await store.load()
        await until_told(told, edit)


async def test_a_missing_file_is_told_once(tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", "1")
    store = FileStore(config, poll_seconds=0.02)
    await store.load()
    async with watching(store) as told:
        config.unlink()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await anext(told)
        with pytest.raises(CannotRead):
            await store.load()
        again = asyncio.ensure_future(anext(told))
        await asyncio.wait([again], timeout=0.5)
        assert not again.done()
        write(config, "1")
        async with asyncio.timeout(DEADLINE_SECONDS):
            await again
        assert list((await store.load()).files.values()) == ["1"]


async def test_a_file_in_the_midst_of_being_written_is_waited_for(tmp_path: Path) -> None:
    """A copy that grows line by line: what is loaded is never a beginning of it, or seldom on a slow machine."""
    write(config := tmp_path / "signer.yaml", "")
    store = FileStore(config, poll_seconds=0.02)
    await store.load()
    loads = 0

    async def follow() -> None:
        nonlocal loads
        async with watching(store) as told:
            async for _ in told:
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
    assert loads <= 5


async def test_files_of_two_moments_are_never_mixed(tmp_path: Path) -> None:
    """Kubernetes' link is turned all the time, and all files say the same: so do those that are loaded together."""
    config, edit = config_map_of_equal_files(tmp_path)
    edit(0)
    store = FileStore(config)
    over = threading.Event()

    def keep_editing() -> None:
        number = 0
        while not over.is_set():
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
        over.set()
        await editing
