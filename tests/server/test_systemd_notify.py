"""The notifications to systemd, received on a socket like systemd's."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from signer.server.systemd_notify import ServiceManager


@dataclass
class Notifications:
    """The socket that NOTIFY_SOCKET names."""

    address: str
    sock: socket.socket

    def receive(self) -> list[str]:
        """Return the lines of the next notification, which was sent already."""
        return self.sock.recv(4096).decode().split("\n")

    async def next(self) -> list[str]:
        """Wait for the next notification."""
        return (await asyncio.get_running_loop().sock_recv(self.sock, 4096)).decode().split("\n")


@pytest.fixture(params=["path", "abstract"])
def notifications(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Notifications]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@oss-signer-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address.replace("@", "\0"))
        sock.setblocking(False)
        yield Notifications(address, sock)


def test_each_step_is_a_notification(notifications: Notifications) -> None:
    manager = ServiceManager(notifications.address)
    manager.ready("1 apps")
    assert notifications.receive() == ["READY=1", "STATUS=1 apps"]
    manager.reloading()
    reloading = notifications.receive()
    assert (reloading[0], reloading[2]) == ("RELOADING=1", "STATUS=reloading")
    assert int(reloading[1].removeprefix("MONOTONIC_USEC=")) > 0
    manager.stopping("stopping after SIGTERM")
    assert notifications.receive() == ["STOPPING=1", "STATUS=stopping after SIGTERM"]
    manager.failed("internal error")
    assert notifications.receive() == ["STATUS=internal error"]


async def test_the_watchdog_is_fed_and_a_changed_status_is_sent_once(notifications: Notifications) -> None:
    manager = ServiceManager(notifications.address, watchdog_seconds=0.03)
    statuses = ["first", "first", "second"]
    watching = asyncio.create_task(manager.watch(lambda: statuses.pop(0) if len(statuses) > 1 else statuses[0]))
    assert await notifications.next() == ["STATUS=first", "WATCHDOG=1"]
    assert await notifications.next() == ["WATCHDOG=1"]
    assert await notifications.next() == ["STATUS=second", "WATCHDOG=1"]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_the_status_is_sent_without_a_watchdog(notifications: Notifications) -> None:
    watching = asyncio.create_task(ServiceManager(notifications.address).watch(lambda: "status"))
    assert await notifications.next() == ["STATUS=status"]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_without_systemd_nothing_happens() -> None:
    manager = ServiceManager()
    manager.ready("status")
    await manager.watch(lambda: "status")


def test_a_missing_socket_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager(str(tmp_path / "none")).ready("status")
    [record] = caplog.records
    assert record.message == "systemd not notified"


@pytest.mark.parametrize(
    ("watchdog", "is_fed"),
    [
        ({"WATCHDOG_USEC": "30000"}, True),
        ({"WATCHDOG_USEC": "30000", "WATCHDOG_PID": str(os.getpid())}, True),
        ({"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}, False),
        ({"WATCHDOG_USEC": "soon"}, False),
        ({}, False),
    ],
)
async def test_the_environment_configures_it_once(
    notifications: Notifications, watchdog: dict[str, str], is_fed: bool
) -> None:
    environ = {"NOTIFY_SOCKET": notifications.address, "OTHER": "stays", **watchdog}
    manager = ServiceManager.from_environment(environ)
    assert environ == {"OTHER": "stays"}
    watching = asyncio.create_task(manager.watch(lambda: "status"))
    assert ("WATCHDOG=1" in await notifications.next()) is is_fed
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
