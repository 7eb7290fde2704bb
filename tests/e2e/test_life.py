"""How a signer begins and ends: what it tells systemd, what becomes of connections, and its exit status."""

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
from tests.harness.processes import run
from tests.harness.signer import Signer, entries, run_command, signer
from tests.harness.systemd_socket import signer_with_socket
from tests.harness.waiting import DEADLINE_SECONDS, deadline

DEFINITIONS = """\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: ecs_ram_role, endpoint: "{metadata}"}}}}
defaults: {{region: cn-hangzhou, bucket: photos, credentials: r}}
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

    def begin(self) -> None:
        """The request without its body."""
        headers = f"Host: s\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
        self.writer.write(f"POST /v1/apps/a/uploads HTTP/1.1\r\n{headers}\r\n".encode())

    async def answer(self) -> str:
        self.writer.write(BODY)
        async with asyncio.timeout(30):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            [length] = re.findall(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
            await self.reader.readexactly(int(length))
        return head

    async def is_closed(self) -> bool:
        async with asyncio.timeout(30):
            return await self.reader.read() == b""


@contextlib.asynccontextmanager
async def client(running: Signer) -> AsyncIterator[Client]:
    host, port = running.public.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def test_connections_that_are_open_get_one_more_answer(config: Path) -> None:
    async with (
        aiohttp.ClientSession() as session,
        signer(session, config, environ={"OSS_SIGNER_DRAIN_SECONDS": "60"}) as running,
        client(running) as idle,
        client(running) as under_way,
    ):
        idle.begin()
        assert "connection: close" not in (await idle.answer()).lower()
        under_way.begin()
        await under_way.writer.drain()
        running.process.terminate()
        assert (await running.wait_for_log("stopping"))["reason"] == "SIGTERM"
        async with asyncio.timeout(30):
            while True:
                try:
                    async with client(running):
                        await asyncio.sleep(0.01)
                except ConnectionRefusedError:
                    break
        idle.begin()
        for each in (idle, under_way):
            head = (await each.answer()).lower()
            assert head.startswith("http/1.1 201 ")
            assert "connection: close" in head
            assert await each.is_closed()
        # It does not wait longer than for the last connection.
        async with asyncio.timeout(30):
            assert await running.process.wait() == 0
    assert json.loads(running.output[-1])["message"] == "stopped"


@pytest.mark.parametrize("signals", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)], ids=str)
async def test_who_is_in_a_hurry_need_not_wait(signals: tuple[signal.Signals, ...], config: Path) -> None:
    async with (
        aiohttp.ClientSession() as session,
        signer(session, config, environ={"OSS_SIGNER_DRAIN_SECONDS": "600"}) as running,
        client(running) as idle,
    ):
        idle.begin()
        await idle.answer()
        for number in signals:
            running.process.send_signal(number)
            await running.wait_for_log("stopping")
        assert await idle.is_closed()
        async with asyncio.timeout(30):
            assert await running.process.wait() == 0


@dataclass
class Notices:
    """What a signer sent to the socket on which systemd would listen."""

    path: Path
    sock: socket.socket

    async def until(self, wanted: str) -> str:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                notice = (await asyncio.get_running_loop().sock_recv(self.sock, 4096)).decode()
                if wanted in notice:
                    return notice


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[Notices]:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.setblocking(False)
        yield Notices(path, sock)


async def test_systemd_is_told_of_it_all(config: Path, notices: Notices, tmp_path: Path) -> None:
    environ = {
        "NOTIFY_SOCKET": str(notices.path),
        "WATCHDOG_USEC": "300000",
        "RUNTIME_DIRECTORY": str(tmp_path),
    }
    async with aiohttp.ClientSession() as session, signer(session, config, environ=environ) as running:
        assert re.search(r"STATUS=1 apps, 1 of 1 roles usable, definitions of ", await notices.until("READY=1"))
        await notices.until("WATCHDOG=1")
        config.write_text(config.read_text(encoding="utf-8") + "  b: {key_prefix: b/}\n", encoding="utf-8")
        assert await reload(tmp_path) == (0, "")
        assert re.search(r"^MONOTONIC_USEC=\d+$", await notices.until("RELOADING=1"), re.MULTILINE)
        assert "STATUS=2 apps" in await notices.until("READY=1")
        config.write_text(config.read_text(encoding="utf-8") + "  c: {bukcet: b}\n", encoding="utf-8")
        status, told = await reload(tmp_path)
        assert status == 1
        assert "did you mean bucket?" in told
        assert "RELOAD REJECTED" in await notices.until("READY=1")
        running.process.terminate()
        assert "STATUS=stopping after SIGTERM" in await notices.until("STOPPING=1")
    assert (await reload(tmp_path))[0] == 1


async def reload(runtime: Path) -> tuple[int, str]:
    """The status of the command `reload`, and what it said on stderr."""
    ended = await run_command("reload", "--runtime-dir", runtime)
    return ended.status, ended.err


async def test_systemd_s_socket_is_taken(config: Path) -> None:
    """What waits on it is answered, and it goes on when the signer ends."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            waiting.sendall(b"GET /generate_signature HTTP/1.1\r\nHost: s\r\nX-App-Id: a\r\nConnection: close\r\n\r\n")
            arguments = ("--worker", "2", "--config", config)
            async with signer_with_socket(held, "public", *arguments) as process:
                waiting.setblocking(False)
                async with deadline():
                    answer = await asyncio.get_running_loop().sock_recv(waiting, 65536)
                await process.stop()
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        lines = list(entries(process.errors))
        assert {line["worker"] for line in lines} == {2}
        [listening] = [line for line in lines if line["message"] == "listening"]
        assert listening["public"] == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port)).close()


async def test_a_defect_has_a_status_of_its_own(tmp_path: Path) -> None:
    """A store of another package raises what no store should; its text may hold anything and is not told."""
    (tmp_path / "odd.py").write_text("def odd(*_): raise RuntimeError('s3cret')\n", encoding="utf-8")
    described = tmp_path / "odd-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1\n", encoding="utf-8")
    (described / "entry_points.txt").write_text("[oss_signer.stores]\nodd = odd:odd\n", encoding="utf-8")
    environ = {"PYTHONPATH": str(tmp_path)}
    result = await run(sys.executable, "run.py", "serve", "--config", "odd://here", environ=environ)
    assert result.status == 70
    last = json.loads(result.err.splitlines()[-1])
    assert (last["message"], last["reason"], last["exit_status"]) == ("ended", "internal error", 70)
    assert last["traceback"][-1] == "RuntimeError"
    assert "s3cret" not in result.err
