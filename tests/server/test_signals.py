"""What SIGTERM, SIGINT and SIGHUP do to a process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from signer.server.exit_deadline import ExitDeadline
from signer.server.signals import Signals


async def no_reload() -> None:
    raise AssertionError("no reload was requested")


class RecordedDeadline(ExitDeadline):
    """Records its starts, and does not end the process of the tests."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def start(self, seconds: float, status: int = 0) -> None:
        self.seconds.append(seconds)


def new_signals(
    reload: Callable[[], Coroutine[Any, Any, None]] = no_reload,
    deadline: ExitDeadline | None = None,
    drain_seconds: float = 0,
) -> Signals:
    return Signals(reload, drain_seconds=drain_seconds, deadline=deadline or RecordedDeadline())


async def test_sigterm_stops_and_a_second_one_skips_the_drain() -> None:
    signals = new_signals()
    with signals.handlers():
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.stop.wait()
        assert signals.stop_signal == "SIGTERM"
        assert not signals.skip_drain.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.skip_drain.wait()


async def test_each_signal_limits_the_time_to_the_end() -> None:
    deadline = RecordedDeadline()
    signals = new_signals(deadline=deadline, drain_seconds=100)
    with signals.handlers():
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.stop.wait()
        [first] = deadline.seconds
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.skip_drain.wait()
    assert first > 100
    assert deadline.seconds[-1] < 10


async def test_sigint_skips_the_drain() -> None:
    signals = new_signals()
    with signals.handlers():
        os.kill(os.getpid(), signal.SIGINT)
        await signals.stop.wait()
    assert (signals.stop_signal, signals.skip_drain.is_set()) == ("SIGINT", True)


async def test_the_first_signal_is_the_reason() -> None:
    signals = new_signals()
    with signals.handlers():
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.stop.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await signals.skip_drain.wait()
    assert signals.stop_signal == "SIGTERM"


async def test_sighup_reloads_each_time() -> None:
    reloads: asyncio.Queue[None] = asyncio.Queue()
    signals = new_signals(lambda: reloads.put(None))
    with signals.handlers():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
            await reloads.get()
        assert not signals.stop.is_set()


async def test_the_handlers_are_removed_after_the_block() -> None:
    with new_signals().handlers():
        pass
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


async def test_without_loop_handlers_the_process_still_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""

    def unsupported(*_arguments: object) -> None:
        raise NotImplementedError

    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", unsupported)
    signals = new_signals()
    try:
        with signals.handlers():
            os.kill(os.getpid(), signal.SIGTERM)
            await signals.stop.wait()
        assert signals.stop_signal == "SIGTERM"
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
