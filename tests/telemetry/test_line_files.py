"""Files and streams hold whole lines only, whatever happens in the middle of one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from signer.telemetry.line_files import LineFile, LineStream
from tests.harness.waiting import wait_until


@contextlib.contextmanager
def full_disk(size_bytes: int) -> Iterator[None]:
    """Let no file grow above this size. The last write up to it is partial, as on a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines"


@contextlib.contextmanager
def line_file(path: Path) -> Iterator[LineFile]:
    with contextlib.closing(LineFile(path)) as file:
        yield file


def test_half_a_line_is_removed_and_what_was_written_is_returned(path: Path) -> None:
    lines = memoryview(b"first\nsecond\n")
    with line_file(path) as file:
        with full_disk(10):
            assert file.write(lines) == len(b"first\n")
            assert path.read_bytes() == b"first\n"
            with pytest.raises(OSError, match="too large"):
                file.write(lines[6:])
        assert path.read_bytes() == b"first\n"
        assert file.write(lines[6:]) == len(b"second\n")
    assert path.read_bytes() == b"first\nsecond\n"


def test_a_first_line_that_does_not_fit_leaves_an_empty_file(path: Path) -> None:
    with line_file(path) as file, full_disk(3), pytest.raises(OSError, match="too large"):
        file.write(memoryview(b"first\n"))
    assert path.read_bytes() == b""


def test_a_line_that_cannot_be_removed_is_ended_before_the_next_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a file that chattr made append-only."""

    def refuse(_descriptor: int, _size: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "ftruncate", refuse)
    with line_file(path) as file:
        with full_disk(10):
            assert file.write(memoryview(b"first\nsecond\n")) == len(b"first\n")
        file.write(memoryview(b"second\n"))
        file.write(memoryview(b"third\n"))
    assert path.read_bytes() == b"first\nseco\nsecond\nthird\n"


def test_half_a_line_of_a_killed_process_is_ended(path: Path) -> None:
    path.write_bytes(b"half a li")
    with line_file(path) as file:
        file.write(memoryview(b"next\n"))
        file.write(memoryview(b"last\n"))
    assert path.read_bytes() == b"half a li\nnext\nlast\n"


def test_two_writers_append_to_one_file_and_a_full_disk_harms_neither(path: Path) -> None:
    lines = {name: b"%c" % name * 99 + b"\n" for name in b"ab"}
    written = dict.fromkeys(lines, 0)

    def write(name: int) -> None:
        with line_file(path) as file, contextlib.suppress(OSError):
            while True:
                written[name] += file.write(memoryview(lines[name] * 7)) // 100

    with full_disk(1_000_030):
        threads = [threading.Thread(target=write, args=[name]) for name in lines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = path.read_bytes().splitlines(keepends=True)
    assert {name: found.count(line) for name, line in lines.items()} == written
    assert sum(written.values()) == len(found) == 10_000


def test_no_other_process_appends_while_half_a_line_is_removed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it appended after the half line would be removed as well."""
    truncate = os.ftruncate
    has_lock = False

    def check_lock(descriptor: int, size: int) -> None:
        nonlocal has_lock
        with path.open("ab") as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                has_lock = True
        truncate(descriptor, size)

    monkeypatch.setattr(os, "ftruncate", check_lock)
    with line_file(path) as file, full_disk(10):
        file.write(memoryview(b"first\nsecond\n"))
        assert has_lock
        with path.open("ab") as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_renamed_file_is_followed_by_a_new_one(path: Path) -> None:
    with line_file(path) as file:
        file.write(memoryview(b"first\n"))
        path.rename(former := path.with_name("former"))
        file.write(memoryview(b"second\n"))
    assert (former.read_bytes(), path.read_bytes()) == (b"first\n", b"second\n")
    assert path.stat().st_mode & 0o007 == 0, "not readable by others"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for descriptor in ends:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_a_pipe_gets_whole_lines_in_writes_that_do_not_mix_with_others(pipe: tuple[int, int]) -> None:
    stream = LineStream(pipe[1])
    lines = memoryview((b"x" * 999 + b"\n") * 10)
    assert stream.write(lines) == 4000
    assert os.read(pipe[0], 2**16) == bytes(lines[:4000])


def test_a_line_that_is_longer_than_such_a_write_is_written_whole(pipe: tuple[int, int]) -> None:
    line = b"x" * 9999 + b"\n"
    assert LineStream(pipe[1]).write(memoryview(line * 2)) == len(line)
    assert os.read(pipe[0], 2**16) == line


async def test_a_non_blocking_pipe_is_waited_for(pipe: tuple[int, int]) -> None:
    """A process that shares it may have made it non-blocking."""
    os.set_blocking(pipe[1], False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe[1], b"x" * 2**16)
    thread = threading.Thread(target=LineStream(pipe[1]).write, args=[memoryview(b"line\n")])
    thread.start()
    received = b""

    def has_line() -> bool:
        nonlocal received
        received += os.read(pipe[0], 2**16)
        return received.endswith(b"xline\n")

    await wait_until(has_line)
    thread.join()


def test_a_stream_that_is_a_file_loses_no_half_line_either(path: Path) -> None:
    with path.open("wb") as file:
        stream = LineStream(file.fileno())
        with full_disk(10):
            assert stream.write(memoryview(b"first\nsecond\n")) == len(b"first\n")
        assert path.read_bytes() == b"first\n"
        stream.write(memoryview(b"second\n"))
    assert path.read_bytes() == b"first\nsecond\n"


def test_a_closed_pipe_raises(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        LineStream(pipe[1]).write(memoryview(b"line\n"))
