"""Every kind of store: edits become active, and an unreachable store leaves the active definitions."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from pathlib import Path

import aiohttp
import pytest

from tests.harness.signer import Signer, run_command, signer
from tests.harness.waiting import wait_until
from tests.stores.signer_calls import definitions, load_error, serves
from tests.stores.store_servers import HttpStoreServer, StoreFile, StoreServer


async def test_edits_become_active_before_and_after_an_outage(
    remote: StoreServer, session: aiohttp.ClientSession
) -> None:
    await remote.put(definitions("a"))
    async with signer(session, remote.url) as running:
        assert await serves(running, "a")
        await remote.put(definitions("a", "b"))
        await wait_until(lambda: serves(running, "b"))

        await remote.stop()
        await wait_until(lambda: _failed(running))
        assert (await running.reload())[0] == 503
        result = await running.last_reload()
        assert str(result["error"]).startswith(_shown(remote))
        assert await running.is_ready()
        assert await serves(running, "b")
        # One by polling, however often, and one by the request.
        await wait_until(lambda: len(running.log("reload rejected")) >= 2)
        assert len(running.log("reload rejected")) == 2

        await remote.start()
        await wait_until(lambda: _succeeded(running))
        await remote.put(definitions("c"))
        await wait_until(lambda: serves(running, "c"))
        assert not await serves(running, "a")


@pytest.mark.parametrize("remote", ["http", "redis", "oss"], indirect=True)
async def test_a_start_during_an_outage_uses_the_last_good_copy(
    remote: StoreServer, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    environ = {"STATE_DIRECTORY": str(state), "KEY_SECRET": "resolved-secret"}
    await remote.put(definitions("a"))
    await remote.stop()
    result = await run_command("serve", "--config", remote.url, environ=environ)
    assert (result.status, result.out) == (1, "")
    assert json.loads(result.err)["reason"].startswith(_shown(remote))
    assert "there is no last good copy" in result.err

    await remote.start()
    async with signer(session, remote.url, environ=environ) as running:
        await remote.put(definitions("a", "b"))
        await wait_until(lambda: serves(running, "b"))
        await remote.put(definitions("c").replace("region: ", "regoin: "))
        await wait_until(lambda: _failed(running))
    [copy] = state.iterdir()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    content = copy.read_text(encoding="utf-8")
    assert "${KEY_SECRET:-fallback}" in content
    assert "resolved-secret" not in content

    await remote.put(definitions("a", "b"))
    await remote.stop()
    async with signer(session, remote.url, environ=environ) as running:
        warnings = [line for line in running.output if '"warning"' in line]
        assert len(warnings) == 1
        assert "started from the last good copy" in warnings[0]
        started = await running.last_reload()
        assert (started["trigger"], started["succeeded"]) == ("start", False)
        assert "running on the last good copy" in str(started["error"])
        assert await serves(running, "b")
        assert await running.is_ready()
        await remote.start()
        await wait_until(lambda: _succeeded(running))
        await remote.put(definitions("d"))
        await wait_until(lambda: serves(running, "d"))


async def _succeeded(running: Signer) -> bool:
    return bool((await running.last_reload())["succeeded"])


async def _failed(running: Signer) -> bool:
    return not await _succeeded(running)


def _shown(place: StoreServer) -> str:
    """Return the start of each message about a store."""
    return place.url.partition("?")[0].partition("#")[0]


async def test_a_silent_server_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        redis = f"redis://{at}/0?key=oss-signer"
        errors = await asyncio.gather(
            load_error(f"http://{at}/signer.yaml"),
            load_error(redis),
            load_error(f"oss://b/k?region=cn-hangzhou&metadata=http://{at}"),
        )
    assert list(errors) == [
        f"http://{at}/signer.yaml: no response within 10 s",
        f"{redis}: Redis did not respond within 10 s",
        f"oss://b/k: the metadata service at {at} timed out: no response",
    ]


async def test_a_start_with_invalid_definitions_uses_the_copy(
    session: aiohttp.ClientSession, tmp_path: Path, http: HttpStoreServer
) -> None:
    await http.put(definitions("a"))
    state = ("--state-dir", tmp_path)
    async with signer(session, http.url, *state):
        pass
    await http.put(definitions("b").replace("region: ", "regoin: "))
    async with signer(session, http.url, *state) as running:
        assert "regoin" in str((await running.last_reload())["mistakes"])
        assert await serves(running, "a")
        await http.put(definitions("b"))
        await wait_until(lambda: serves(running, "b"))


async def test_without_a_directory_there_is_no_copy(http: HttpStoreServer) -> None:
    await http.stop()
    result = await run_command("serve", "--config", http.url)
    assert (result.status, result.out) == (1, "")
    assert (
        json.loads(result.err)["reason"]
        == f"{_shown(http)}: cannot connect (Connection refused); check the host and port"
    )


async def test_a_copy_of_another_store_is_not_used(
    tmp_path: Path, session: aiohttp.ClientSession, http: HttpStoreServer
) -> None:
    await http.put(definitions("a"))
    state = ("--state-dir", tmp_path / "state")
    async with signer(session, http.url, *state):
        pass
    other = http.url.replace("/signer.yaml", "/other.yaml")
    result = await run_command("serve", "--config", other, *state)
    assert "there is no last good copy" in result.err


async def test_a_broken_copy_is_not_used(tmp_path: Path, session: aiohttp.ClientSession, http: HttpStoreServer) -> None:
    await http.put(definitions("a"))
    state = ("--state-dir", tmp_path / "state")
    async with signer(session, http.url, *state):
        pass
    [copy] = (tmp_path / "state").iterdir()
    copy.write_text("{", encoding="utf-8")
    http.text = None
    result = await run_command("serve", "--config", http.url, *state)
    assert result.status == 1
    assert f"the last good copy is damaged: {copy}; remove it" in result.err


async def test_a_start_succeeds_if_the_copy_cannot_be_written(
    tmp_path: Path, session: aiohttp.ClientSession, http: HttpStoreServer
) -> None:
    (tmp_path / "file").touch()
    await http.put(definitions("a"))
    async with signer(session, http.url, "--state-dir", tmp_path / "file" / "state") as running:
        assert await serves(running, "a")
        assert any("last good copy not written" in line for line in running.output)


async def test_files_need_no_copy(file: StoreFile, tmp_path: Path, session: aiohttp.ClientSession) -> None:
    await file.put(definitions("a"))
    state = tmp_path / "state"
    async with signer(session, file.url, "--state-dir", state) as running:
        await file.put(definitions("a", "b"))
        await wait_until(lambda: serves(running, "b"))
        await file.stop()
        assert (await running.reload())[0] == 503
        assert await running.is_ready()
        assert await serves(running, "b")
        await file.start()
        await wait_until(lambda: _succeeded(running))
    assert not state.exists()
