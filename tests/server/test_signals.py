"""What SIGTERM, SIGINT and SIGHUP do to a process."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from signer.server.signals import Signals


async def no_reload() -> None:
    raise AssertionError("no reload was requested")


async def test_sigterm_stops_and_a_second_one_skips_the_drain() -> None:
    signals = Signals(no_reload)
    with signals.handlers():
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.stop.wait()
        assert signals.stop_signal == "SIGTERM"
        assert not signals.skip_drain.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.skip_drain.wait()


async def test_sigint_skips_the_drain() -> None:
    signals = Signals(no_reload)
    with signals.handlers():
        os.kill(os.getpid(), signal.SIGINT)
        await signals.stop.wait()
    assert (signals.stop_signal, signals.skip_drain.is_set()) == ("SIGINT", True)


async def test_the_first_signal_is_the_reason() -> None:
    signals = Signals(no_reload)
    with signals.handlers():
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.stop.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await signals.skip_drain.wait()
    assert signals.stop_signal == "SIGTERM"


async def test_sighup_reloads_each_time() -> None:
    reloads: asyncio.Queue[None] = asyncio.Queue()
    signals = Signals(lambda: reloads.put(None))
    with signals.handlers():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
            await reloads.get()
        assert not signals.stop.is_set()


async def test_the_handlers_are_removed_after_the_block() -> None:
    with Signals(no_reload).handlers():
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
    signals = Signals(no_reload)
    try:
        with signals.handlers():
            os.kill(os.getpid(), signal.SIGTERM)
            await signals.stop.wait()
        assert signals.stop_signal == "SIGTERM"
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
