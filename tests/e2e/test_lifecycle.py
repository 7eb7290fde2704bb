"""How the signer starts and stops: notifications to systemd, draining of connections, and exit statuses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import local_cloud
from tests.harness.plugin import install_store_plugin
from tests.harness.processes import run
from tests.harness.signer import Signer, entries, run_command, signer
from tests.harness.systemd_socket import signer_with_socket
from tests.harness.waiting import deadline, wait_until

DEFINITIONS = """\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: ecs_ram_role, endpoint: "{metadata}"}}}}
defaults: {{region: cn-hangzhou, key_prefix: '', bucket: photos, credentials: r}}
apps:
  a: {{key_prefix: u/}}
"""
BODY = b'{"filename": "cat.jpg"}'


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        path = tmp_path / "signer.yaml"
        path.write_text(DEFINITIONS.format(metadata=cloud.metadata), encoding="utf-8")
        yield path


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send_head(self) -> None:
        """Send a request without its body."""
        headers = f"Host: s\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
        self.writer.write(f"POST /v1/apps/a/uploads HTTP/1.1\r\n{headers}\r\n".encode())

    async def response(self) -> str:
        self.writer.write(BODY)
        async with deadline():
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            [length] = re.findall(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
            await self.reader.readexactly(int(length))
        return head

    async def is_closed_by_signer(self) -> bool:
        async with deadline():
            return await self.reader.read() == b""


@contextlib.asynccontextmanager
async def client(running: Signer) -> AsyncIterator[Client]:
    host, port = running.public.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def test_an_open_connection_gets_one_more_response_after_sigterm(config: Path) -> None:
    async with (
        aiohttp.ClientSession() as session,
        signer(session, config, environ={"OSS_SIGNER_DRAIN_SECONDS": "600"}) as running,
        client(running) as idle,
        client(running) as pending,
    ):
        idle.send_head()
        assert "connection: close" not in (await idle.response()).lower()
        pending.send_head()
        await pending.writer.drain()
        running.process.terminate()
        assert (await running.wait_for_log("stopping"))["reason"] == "SIGTERM"

        async def refuses_connections() -> bool:
            try:
                async with client(running):
                    return False
            except ConnectionRefusedError:
                return True

        await wait_until(refuses_connections)
        idle.send_head()
        for each in (idle, pending):
            head = (await each.response()).lower()
            assert head.startswith("http/1.1 201 ")
            assert "connection: close" in head
            assert await each.is_closed_by_signer()
        # The last connection is closed, so it does not wait for the end of the drain time.
        assert await running.process.wait() == 0
    assert json.loads(running.output[-1])["message"] == "stopped"


@pytest.mark.parametrize("signals", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)], ids=str)
async def test_a_second_sigterm_or_a_sigint_ends_the_drain(signals: tuple[signal.Signals, ...], config: Path) -> None:
    async with (
        aiohttp.ClientSession() as session,
        signer(session, config, environ={"OSS_SIGNER_DRAIN_SECONDS": "600"}) as running,
        client(running) as idle,
    ):
        idle.send_head()
        await idle.response()
        for number in signals:
            running.process.send_signal(number)
            await running.wait_for_log("stopping")
        assert await idle.is_closed_by_signer()
        assert await running.process.wait() == 0


@dataclass
class Notifications:
    """The socket to which a signer sends notifications for systemd."""

    path: Path
    sock: socket.socket

    async def wait_for(self, text: str) -> str:
        async with deadline():
            while True:
                notification = (await asyncio.get_running_loop().sock_recv(self.sock, 4096)).decode()
                if text in notification:
                    return notification


@pytest.fixture
def notifications(tmp_path: Path) -> Iterator[Notifications]:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.setblocking(False)
        yield Notifications(path, sock)


async def test_systemd_is_notified_of_each_state(config: Path, notifications: Notifications, tmp_path: Path) -> None:
    environ = {
        "NOTIFY_SOCKET": str(notifications.path),
        "WATCHDOG_USEC": "300000",
        "RUNTIME_DIRECTORY": str(tmp_path),
    }
    async with aiohttp.ClientSession() as session, signer(session, config, environ=environ) as running:
        assert re.search(
            r"STATUS=1 apps, 1 of 1 roles usable, definitions of ", await notifications.wait_for("READY=1")
        )
        await notifications.wait_for("WATCHDOG=1")
        config.write_text(config.read_text(encoding="utf-8") + "  b: {key_prefix: b/}\n", encoding="utf-8")
        assert await reload(tmp_path) == (0, "")
        assert re.search(r"^MONOTONIC_USEC=\d+$", await notifications.wait_for("RELOADING=1"), re.MULTILINE)
        assert "STATUS=2 apps" in await notifications.wait_for("READY=1")
        config.write_text(config.read_text(encoding="utf-8") + "  c: {bukcet: b}\n", encoding="utf-8")
        status, errors = await reload(tmp_path)
        assert status == 1
        assert "did you mean bucket?" in errors
        assert "RELOAD REJECTED" in await notifications.wait_for("READY=1")
        running.process.terminate()
        assert "STATUS=stopping after SIGTERM" in await notifications.wait_for("STOPPING=1")
    assert (await reload(tmp_path))[0] == 1


async def reload(runtime: Path) -> tuple[int, str]:
    """Run the command `reload`, and return its status and its stderr."""
    ended = await run_command("reload", "--runtime-dir", runtime)
    return ended.status, ended.err


async def test_a_socket_of_systemd_is_used_and_left_open(config: Path) -> None:
    """A connection that waits on it is served, and the socket stays open when the signer ends."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            waiting.sendall(b"GET /generate_signature HTTP/1.1\r\nHost: s\r\nX-App-Id: a\r\nConnection: close\r\n\r\n")
            arguments = ("--worker", "2", "--config", config)
            async with signer_with_socket(sock, "public", *arguments) as process:
                waiting.setblocking(False)
                async with deadline():
                    response = await asyncio.get_running_loop().sock_recv(waiting, 65536)
                await process.stop()
        assert response.startswith(b"HTTP/1.1 200 "), response
        lines = list(entries(process.errors))
        assert {line["worker"] for line in lines} == {2}
        [listening] = [line for line in lines if line["message"] == "listening"]
        assert listening["public"] == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port)).close()


async def test_an_internal_error_at_the_start_has_its_own_exit_status(tmp_path: Path) -> None:
    """A store of another package raises an unexpected exception, whose text is not logged because it may hold a secret."""
    environ = install_store_plugin(tmp_path, "odd", "def odd(*_): raise RuntimeError('s3cret')\n")
    result = await run(sys.executable, "run.py", "serve", "--config", "odd://here", environ=environ)
    assert result.status == 70
    last = json.loads(result.err.splitlines()[-1])
    assert (last["message"], last["reason"], last["exit_status"]) == ("ended", "internal error", 70)
    assert last["traceback"][-1] == "RuntimeError"
    assert "s3cret" not in result.err
