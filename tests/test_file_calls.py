"""A call of the file system that hangs ends at its deadline, and delays nothing but calls for the same file."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from signer.file_calls import (
    FileSystemHangs,
    await_with_deadline,
    extend_deadline,
    fix_for,
    run_in_thread,
    run_with_deadline,
)
from tests.harness.processes import run
from tests.harness.waiting import DEADLINE_SECONDS, wait_until

HOURS = 3600.0
SHORT = 0.05


class HangingFile:
    """A file whose reads wait until it responds."""

    def __init__(self) -> None:
        self.reads = 0
        self.released = threading.Event()

    def read(self) -> str:
        self.reads += 1
        self.released.wait()
        return "content"


@pytest.fixture
def file() -> Iterator[HangingFile]:
    found = HangingFile()
    yield found
    found.released.set()


async def test_the_result_and_the_error_of_a_function_are_passed_on() -> None:
    def fail() -> None:
        raise FileNotFoundError(2, "No such file or directory")

    assert run_with_deadline("file", lambda: 1) == await await_with_deadline("file", lambda: 1) == 1
    assert await run_in_thread(lambda: 1) == 1
    with pytest.raises(FileNotFoundError):
        run_with_deadline("file", fail)
    with pytest.raises(FileNotFoundError):
        await await_with_deadline("file", fail)
    with pytest.raises(FileNotFoundError):
        await run_in_thread(fail)


async def test_a_file_that_hangs_is_read_once_at_a_time(file: HangingFile) -> None:
    with pytest.raises(FileSystemHangs, match=r"no response from its file system within 0\.05 s"):
        await await_with_deadline(file, file.read, seconds=SHORT)
    async with asyncio.timeout(DEADLINE_SECONDS):
        with pytest.raises(FileSystemHangs):
            await await_with_deadline(file, file.read, seconds=HOURS)
        with pytest.raises(FileSystemHangs):
            await asyncio.to_thread(run_with_deadline, file, file.read, seconds=HOURS)
    await wait_until(lambda: file.reads == 1)
    file.released.set()

    async def is_read() -> bool:
        with contextlib.suppress(FileSystemHangs):
            return await await_with_deadline(file, file.read) == "content"
        return False

    await wait_until(is_read)


async def test_other_files_can_be_read_while_one_hangs(file: HangingFile) -> None:
    hanging = [asyncio.create_task(await_with_deadline((file, n), file.read, seconds=HOURS)) for n in range(100)]
    await wait_until(lambda: file.reads == 100)
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await await_with_deadline("other", lambda: "content") == "content"
        assert await asyncio.to_thread(lambda: "content") == "content", "the default executor is free"
    file.released.set()
    assert set(await asyncio.gather(*hanging)) == {"content"}


async def test_a_read_never_returns_what_an_earlier_one_has_read(file: HangingFile) -> None:
    first = asyncio.create_task(await_with_deadline(file, file.read, seconds=HOURS))
    await wait_until(lambda: file.reads == 1)
    second = asyncio.create_task(await_with_deadline(file, lambda: "new content", seconds=HOURS))
    with ThreadPoolExecutor(1) as threads:
        third = threads.submit(run_with_deadline, file, lambda: "new content", seconds=HOURS)
        file.released.set()
        assert (await first, await second) == ("content", "new content")
        assert await asyncio.wrap_future(third) == "new content"


async def test_a_call_that_makes_progress_may_take_longer_than_its_deadline() -> None:
    slow = threading.Event()

    def read() -> str:
        for _ in range(18):
            slow.wait(0.2)
            extend_deadline()
        return "content"

    contents = await asyncio.gather(
        await_with_deadline("slow", read, seconds=3),
        asyncio.to_thread(run_with_deadline, "slow too", read, seconds=3),
    )
    assert list(contents) == ["content", "content"]
    extend_deadline()  # outside of a call, it does nothing


async def test_a_caller_that_is_cancelled_leaves_the_call_to_others(file: HangingFile) -> None:
    task = asyncio.create_task(await_with_deadline(file, file.read, seconds=HOURS))
    await wait_until(lambda: file.reads == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    file.released.set()
    assert await await_with_deadline(file, lambda: "new content") == "new content"


async def test_a_machine_without_threads_is_an_error(file: HangingFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    # They take the threads of earlier calls.
    hanging = [asyncio.create_task(await_with_deadline((file, n), file.read, seconds=HOURS)) for n in range(20)]
    await wait_until(lambda: file.reads == 20)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(OSError, match="no thread can be started"):
            await await_with_deadline("file", lambda: 1)
        with pytest.raises(OSError, match="no thread can be started"):
            await run_in_thread(lambda: 1)
    assert await await_with_deadline("file", lambda: 1) == 1
    file.released.set()
    await asyncio.gather(*hanging)


async def test_a_process_ends_while_calls_hang() -> None:
    script = (
        "import asyncio, threading\n"
        "from signer.file_calls import *\n"
        "async def main():\n"
        "    task = asyncio.create_task(run_in_thread(threading.Event().wait))\n"
        "    try: await await_with_deadline('file', threading.Event().wait, seconds=0.05)\n"
        "    except FileSystemHangs as error: print(error.strerror)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    async with asyncio.timeout(DEADLINE_SECONDS):
        ended = await run(sys.executable, "-c", script)
    assert (ended.status, ended.out, ended.err) == (0, "no response from its file system within 0.05 s\n", "")


def test_the_fix_for_a_file_system_that_hangs_is_at_its_mount() -> None:
    assert fix_for(FileSystemHangs("no response"), "check the path") == "check its mount"
    assert fix_for(FileNotFoundError(), "check the path") == "check the path"
