"""The clock of the machine is set while callbacks wait: none is delayed by it, and none is sent twice at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.delivery.queued_events import add_events
from tests.e2e.callbacks.callback_signer import CallbackSigner, callback_signer
from tests.e2e.callbacks.notify_server import NotifyServer
from tests.harness.local_cloud import Cloud
from tests.harness.settable_clock import SettableClock, settable_clock
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

WAITING = 5


@pytest.fixture
async def clock(tmp_path: Path, app_server: NotifyServer) -> SettableClock:
    app_server.checks_time = False
    return await settable_clock(tmp_path)


async def set_clock(clock: SettableClock, minutes: int, *signers: CallbackSigner) -> None:
    """Return once these signers have the new time."""
    clock.set_offset(minutes=minutes)

    async def have_new_time() -> bool:
        shifts = []
        for each in signers:
            assert each.running is not None
            at = datetime.fromisoformat((await each.running.status())["at"])
            shifts.append((at - datetime.now(UTC)).total_seconds() / 60)
        return all(abs(shift - minutes) < 10 for shift in shifts)

    await wait_until(have_new_time)


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_callbacks_are_delivered_although_the_clock_was_set_back(
    is_restarted: bool,
    session: aiohttp.ClientSession,
    cloud: Cloud,
    app_server: NotifyServer,
    clock: SettableClock,
    tmp_path: Path,
) -> None:
    """Long before 50 minutes have passed: the test itself waits for two minutes at most."""
    path = tmp_path / "q.db"
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    names = [f"{number}.jpg" for number in range(WAITING)]
    async with callback_signer(session, cloud, tmp_path / "signer", str(path), apps, environ=clock.environ) as running:
        # After a rejection, each event waits for its next attempt.
        app_server.rejected_keys = {f"a/{name}" for name in names}
        await add_events(str(path), "a", ["good.jpg"])
        await wait_until(lambda: app_server.acknowledged)
        await add_events(str(path), "a", names)
        await wait_until(lambda: len({each["id"] for each in app_server.received}) == WAITING + 1)
        if is_restarted:
            await running.stop()
            clock.set_offset(minutes=-50)
            await running.start()
        else:
            await set_clock(clock, -50, running)
        app_server.rejected_keys = set()
        await wait_until(lambda: len(app_server.acknowledged) == WAITING + 1)


@pytest.mark.parametrize("minutes", [-50, 50])
async def test_no_event_is_sent_twice_at_a_time_when_the_clock_is_set(
    minutes: int,
    session: aiohttp.ClientSession,
    cloud: Cloud,
    app_server: NotifyServer,
    clock: SettableClock,
    tmp_path: Path,
) -> None:
    """Two signers have the same queue, and every event is in flight. The test decides when the attempts end."""
    path = tmp_path / "q.db"
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    names = [f"{number}.jpg" for number in range(16)]
    app_server.hold()
    server: dict[str, Any] = {"environ": clock.environ, "callback_timeout": "1m"}
    async with (
        callback_signer(session, cloud, tmp_path / "1", str(path), apps, **server) as one,
        callback_signer(session, cloud, tmp_path / "2", str(path), apps, **server) as other,
    ):
        await add_events(str(path), "a", names)
        await wait_until(lambda: len(app_server.received) == len(names))
        await set_clock(clock, minutes, one, other)
        # A signer looks into the queue again, and has free slots for more events than the new ones.
        later = [f"later {number}.jpg" for number in range(4)]
        await add_events(str(path), "a", later)
        await wait_until(lambda: len(app_server.received) >= len(names) + len(later))
        app_server.release()
        await wait_until(lambda: len(app_server.acknowledged) == len(names) + len(later))
        await one.wait_for_counts(depth=0)
        assert app_server.max_in_flight == 1
