"""Reloads and concurrent requests, and reloads that wait for a new role or for each other."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from tests.e2e.revisions import (
    HEAD,
    app,
    readiness_statuses,
    revision,
    served_revision,
)
from tests.harness.files import write
from tests.harness.local_cloud import Cloud
from tests.harness.relay import relay
from tests.harness.signer import signer
from tests.harness.waiting import DEADLINE_SECONDS


async def test_waiting_requests_use_the_definitions_they_started_with(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Two requests wait for a credential; one app is removed, the other gets another prefix and role."""
    config = tmp_path / "signer.yaml"
    async with relay(cloud.sts, held=True) as sts:
        role = f"slow: {{type: assume_role, endpoint: '{sts.url}', timeout: 50s}}"
        head = HEAD.replace("credentials:\n", f"credentials:\n  {role}\n")
        write(
            config, f"{head}apps: {{removed: {{credentials: slow}}, moved: {{credentials: slow, key_prefix: old/}}}}\n"
        )
        async with signer(session, config, wait_for="listening") as running, asyncio.timeout(DEADLINE_SECONDS):
            waiting = [asyncio.create_task(running.upload_form(each)) for each in ("removed", "moved")]
            await sts.wait_for_connections(1)
            write(config, f"{head}apps: {{moved: {{key_prefix: new/}}}}\n")
            status, _ = await running.reload()
            assert status == 200
            assert await running.upload_status("removed") == 404
            form = await running.upload_form("moved")
            assert (form["key_prefix"], form["fields"]["x-oss-credential"].split("/")[0]) == ("new/", "LTAI-fixed")
            assert not any(task.done() for task in waiting)
            sts.release()
            removed, moved = await asyncio.gather(*waiting)
            assert (removed["key_prefix"], moved["key_prefix"]) == ("", "old/")
            for form in (removed, moved):
                assert form["fields"]["x-oss-credential"].startswith("STS.")


async def test_a_request_with_a_late_body_uses_the_definitions_it_started_with(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running, asyncio.timeout(DEADLINE_SECONDS):
        address = urlsplit(running.public)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = f"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 2\r\n\r\n"
        writer.write(head.encode() + b"{")
        await writer.drain()
        await served_revision(running)
        # Neither the app nor its role is in the new definitions.
        write(config, f"{HEAD.replace('fixed', 'other')}apps:\n{app(2, 'b')}")
        assert (await running.reload())[0] == 200
        assert (await running.upload_status("a"), await served_revision(running, "b")) == (404, 2)
        writer.write(b"}")
        assert await reader.readline() == b"HTTP/1.1 201 Created\r\n"
        writer.close()


async def test_a_new_role_has_a_token_before_it_is_active(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with (
        relay(cloud.sts, held=True) as sts,
        signer(session, config) as running,
        asyncio.timeout(DEADLINE_SECONDS),
    ):
        role = f"new: {{type: assume_role, endpoint: '{sts.url}'}}"
        text = revision(2).replace("credentials:\n", f"credentials:\n  {role}\n")
        write(config, f"{text}  b: {{credentials: new}}\n")
        async with readiness_statuses(running) as statuses:
            reloading = asyncio.create_task(running.reload())
            await sts.wait_for_connections(1)
            assert (await running.upload_status("b"), await served_revision(running)) == (404, 1)
            sts.release()
            while (status := await running.upload_status("b")) == 404:
                pass
            assert status == 201
            assert (await reloading)[0] == 200
        assert await served_revision(running) == 2
        assert set(statuses) == {200}


async def test_a_new_role_without_a_token_does_not_block_the_reload(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Its first fetch hangs; the reload activates the definitions before that fetch times out."""
    write(config := tmp_path / "signer.yaml", revision(1))
    async with relay(cloud.sts, held=True) as sts, signer(session, config) as running:
        role = f"dead: {{type: assume_role, endpoint: '{sts.url}', timeout: 600s}}"
        text = revision(2).replace("credentials:\n", f"credentials:\n  {role}\n")
        write(config, f"{text}  b: {{credentials: dead}}\n")
        assert (await running.reload())[0] == 200
        assert await served_revision(running) == 2
        async with session.get(f"{running.admin}/readyz") as response:
            assert (response.status, (await response.json())["unusable_roles"]) == (503, ["dead"])
        # Definitions without the role are activated at once.
        write(config, revision(3))
        assert (await running.reload())[0] == 200
        assert await served_revision(running) == 3
        async with session.get(f"{running.admin}/readyz") as response:
            assert response.status == 200


async def test_reloads_do_not_overtake_each_other(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """A reload that waits for a new role must not replace the newer definitions of the next reload."""
    write(config := tmp_path / "signer.yaml", revision(1))
    async with (
        relay(cloud.sts, held=True) as sts,
        signer(session, config) as running,
        asyncio.timeout(DEADLINE_SECONDS),
    ):
        role = f"new: {{type: assume_role, endpoint: '{sts.url}'}}"
        write(config, revision(2).replace("credentials:\n", f"credentials:\n  {role}\n") + "  b: {credentials: new}\n")
        first = asyncio.create_task(running.reload())
        await sts.wait_for_connections(1)
        write(config, revision(3))
        running.process.send_signal(signal.SIGHUP)
        others = [asyncio.create_task(running.reload()) for _ in range(10)]
        await asyncio.wait(others, timeout=0.5)
        sts.release()
        ends = await asyncio.gather(first, *others)
        assert {status for status, _ in ends} == {200}
        assert await served_revision(running) == 3
        assert await running.upload_status("b") == 404
