"""The demo as a process: its addresses, and that nothing of it stays behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.harness.demo import demo
from tests.harness.ports import reserve_port
from tests.harness.waiting import wait_until


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def is_running(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_the_demo_prints_the_addresses_of_its_pages() -> None:
    async with demo() as running, aiohttp.ClientSession() as session:
        for url in (running.page, running.status):
            async with session.get(url, headers={"Accept": "text/html"}) as response:
                assert (response.status, response.content_type) == (200, "text/html")
        assert await running.process.read_line() == "The definitions:   config"


async def test_the_demo_does_not_print_the_url_of_a_store() -> None:
    document = "version: 1\ncredentials: {r: {type: ecs_ram_role}}\napps: {}\n"

    async def definitions(_request: web.Request) -> web.Response:
        return web.Response(text=document)

    application = web.Application()
    application.router.add_get("/signer.yaml", definitions)
    async with TestServer(application, host="127.0.0.1") as server:
        url = f"http://operator:planted-secret@127.0.0.1:{server.port}/signer.yaml"
        async with demo("--config", url) as running:
            assert (await running.process.read_line()).startswith("Edit the definitions while the demo runs.")
            assert "planted-secret" not in "".join(running.process.output)


async def test_each_port_can_be_set() -> None:
    page, admin, oss = (str(reserve_port()) for _ in range(3))
    async with demo("--port", page, "--admin-port", admin, "--oss-port", oss) as running:
        assert running.page == f"http://127.0.0.1:{page}/"
        assert running.status == f"http://127.0.0.1:{admin}/status"
        assert running.oss == f"http://127.0.0.1:{oss}"


async def test_a_port_in_use_is_replaced_and_that_is_printed() -> None:
    async with demo() as first:
        taken = first.page.rstrip("/").rpartition(":")[2]
        async with demo("--port", taken) as second:
            assert second.page != first.page
            assert f"port {taken} is in use; using another one" in "".join(second.process.errors)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
async def test_the_demo_ends_with_its_terminal_and_leaves_no_child(number: signal.Signals) -> None:
    async with demo() as running:
        pid = running.process.pid
        local_clouds = children(pid)
        assert local_clouds
        os.kill(pid, number)
        await wait_until(lambda: not any(is_running(each) for each in (pid, *local_clouds)))
