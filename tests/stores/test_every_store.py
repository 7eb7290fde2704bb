"""What holds for every kind of store: edits arrive, and a store that is away takes nothing down."""

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
from tests.stores.places import FilePlace, HttpPlace, Place
from tests.stores.processes import definitions, serves, why_not


async def test_an_edit_is_taken_over_and_an_absence_is_survived(remote: Place, session: aiohttp.ClientSession) -> None:
    await remote.put(definitions("a"))
    async with signer(session, remote.url) as running:
        assert await serves(running, "a")
        await remote.put(definitions("a", "b"))
        await wait_until(lambda: serves(running, "b"))

        await remote.go_away()
        await wait_until(lambda: _failed(running))
        assert (await running.reload())[0] == 503
        told = await running.last_reload()
        assert str(told["error"]).startswith(_shown(remote))
        assert await running.is_ready()
        assert await serves(running, "b")
        refusals = [line for line in running.output if "reload rejected" in line]
        assert len(refusals) == 2  # by itself once, however often it looks

        await remote.come_back()
        await wait_until(lambda: _succeeded(running))
        await remote.put(definitions("c"))
        await wait_until(lambda: serves(running, "c"))
        assert not await serves(running, "a")


@pytest.mark.parametrize("remote", ["http", "redis", "oss"], indirect=True)
async def test_away_at_the_start_the_last_good_copy_is_used(
    remote: Place, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    environ = {"STATE_DIRECTORY": str(state), "KEY_SECRET": "resolved-secret"}
    await remote.put(definitions("a"))
    await remote.go_away()
    result = await run_command("serve", "--config", remote.url, environ=environ)
    assert (result.status, result.out) == (1, "")
    assert json.loads(result.err)["reason"].startswith(_shown(remote))
    assert "there is no last good copy" in result.err

    await remote.come_back()
    async with signer(session, remote.url, environ=environ) as running:
        await remote.put(definitions("a", "b"))
        await wait_until(lambda: serves(running, "b"))
        await remote.put(definitions("c").replace("region: ", "regoin: "))
        await wait_until(lambda: _failed(running))
    [copy] = state.iterdir()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    kept = copy.read_text(encoding="utf-8")
    assert "${KEY_SECRET:-fallback}" in kept
    assert "resolved-secret" not in kept

    await remote.put(definitions("a", "b"))
    await remote.go_away()
    async with signer(session, remote.url, environ=environ) as running:
        warnings = [line for line in running.output if '"warning"' in line]
        assert len(warnings) == 1
        assert "started from the last good copy" in warnings[0]
        told = await running.last_reload()
        assert (told["trigger"], told["succeeded"]) == ("start", False)
        assert "running on the last good copy" in str(told["error"])
        assert await serves(running, "b")
        assert await running.is_ready()
        await remote.come_back()
        await wait_until(lambda: _succeeded(running))
        await remote.put(definitions("d"))
        await wait_until(lambda: serves(running, "d"))


async def _succeeded(running: Signer) -> bool:
    return bool((await running.last_reload())["succeeded"])


async def _failed(running: Signer) -> bool:
    return not await _succeeded(running)


def _shown(place: Place) -> str:
    """How each message about a store begins."""
    return place.url.partition("?")[0].partition("#")[0]


async def test_a_silent_server_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        redis = f"redis://{at}/0?key=oss-signer"
        told = await asyncio.gather(
            why_not(f"http://{at}/signer.yaml"),
            why_not(redis),
            why_not(f"oss://b/k?region=cn-hangzhou&metadata=http://{at}"),
        )
    assert list(told) == [
        f"http://{at}/signer.yaml: no response within 10 s",
        f"{redis}: Redis did not respond within 10 s",
        f"oss://b/k: the metadata service at {at} does not respond",
    ]


async def test_mistakes_at_the_start_do_not_take_down_what_has_a_copy(
    session: aiohttp.ClientSession, tmp_path: Path, http: HttpPlace
) -> None:
    await http.put(definitions("a"))
    state = ("--state-dir", tmp_path)
    async with signer(session, http.url, *state):
        pass
    await http.put(definitions("b").replace("region: ", "regoin: "))
    async with signer(session, http.url, *state) as running:
        told = await running.last_reload()
        assert "regoin" in str(told["mistakes"])
        assert await serves(running, "a")
        await http.put(definitions("b"))
        await wait_until(lambda: serves(running, "b"))


async def test_without_a_directory_there_is_no_copy(http: HttpPlace) -> None:
    await http.go_away()
    result = await run_command("serve", "--config", http.url)
    assert (result.status, result.out) == (1, "")
    assert (
        json.loads(result.err)["reason"]
        == f"{_shown(http)}: cannot connect (Connection refused); check the host and port"
    )


async def test_a_copy_of_another_store_is_none(tmp_path: Path, session: aiohttp.ClientSession, http: HttpPlace) -> None:
    await http.put(definitions("a"))
    state = ("--state-dir", tmp_path / "state")
    async with signer(session, http.url, *state):
        pass
    other = http.url.replace("/signer.yaml", "/other.yaml")
    result = await run_command("serve", "--config", other, *state)
    assert "there is no last good copy" in result.err


async def test_a_copy_that_is_broken_is_none(tmp_path: Path, session: aiohttp.ClientSession, http: HttpPlace) -> None:
    await http.put(definitions("a"))
    state = ("--state-dir", tmp_path / "state")
    async with signer(session, http.url, *state):
        pass
    [copy] = (tmp_path / "state").iterdir()
    copy.write_text("{", encoding="utf-8")
    http.text = None
    result = await run_command("serve", "--config", http.url, *state)
    assert result.status == 1
    assert "last good copy unreadable" in result.err


async def test_a_directory_that_cannot_be_written_stops_nothing(
    tmp_path: Path, session: aiohttp.ClientSession, http: HttpPlace
) -> None:
    (tmp_path / "file").touch()
    await http.put(definitions("a"))
    async with signer(session, http.url, "--state-dir", tmp_path / "file" / "state") as running:
        assert await serves(running, "a")
        assert any("last good copy not written" in line for line in running.output)


async def test_files_need_no_copy(file: FilePlace, tmp_path: Path, session: aiohttp.ClientSession) -> None:
    await file.put(definitions("a"))
    state = tmp_path / "state"
    async with signer(session, file.url, "--state-dir", state) as running:
        await file.put(definitions("a", "b"))
        await wait_until(lambda: serves(running, "b"))
        await file.go_away()
        assert (await running.reload())[0] == 503
        assert await running.is_ready()
        assert await serves(running, "b")
        await file.come_back()
        await wait_until(lambda: _succeeded(running))
    assert not state.exists()
