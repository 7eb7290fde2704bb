"""Edits that nobody tells the signer of: it watches its files, however they are changed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.layouts import WITH_EVENTS, Layout, far_link
from tests.e2e.reloading import BROKEN, HEAD, app, revision, until_served, until_status, write
from tests.harness.processes import run
from tests.harness.programs import require_program
from tests.harness.signer import signer


@pytest.mark.parametrize("layout", [*WITH_EVENTS, far_link])
async def test_an_edit_is_taken_over(layout: Layout, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    config, edit = layout(tmp_path)
    edit(1)
    async with signer(session, config) as running:
        for number in (2, 3, 4) if layout in WITH_EVENTS else (2,):
            edit(number)
            await until_served(running, number)
        assert (await running.last_reload())["succeeded"]
        # Nothing half-made was taken for an edit.
        assert not [line for line in running.output if '"level": "error"' in line]


async def test_files_of_a_directory_come_and_go(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(tmp_path / "main.yaml", f"{HEAD}apps:\n{app(1)}")
    async with signer(session, tmp_path) as running:
        write(tmp_path / "b.yaml", f"apps:\n{app(1, 'b')}")
        await until_status(running, "b", 201)
        (tmp_path / "b.yaml").unlink()
        await until_status(running, "b", 404)
        write(tmp_path / "b.yaml.off", f"apps:\n{app(1, 'b')}")
        (tmp_path / "b.yaml.off").rename(tmp_path / "b.yaml")
        await until_status(running, "b", 201)
        assert await running.upload_status("a") == 201


async def test_a_bad_edit_changes_nothing_and_its_fix_is_taken_over(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running:
        write(config, BROKEN)
        await running.wait_for_log("reload rejected")
        await until_served(running, 1)
        write(config, revision(2))
        await until_served(running, 2)


@pytest.mark.parametrize("directory_too", [False, True])
async def test_what_was_deleted_may_come_back(
    directory_too: bool, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (home := tmp_path / "etc").mkdir()
    write(config := home / "signer.yaml", revision(1))
    async with signer(session, config) as running:
        if directory_too:
            shutil.rmtree(home)
        else:
            config.unlink()
        refused = await running.wait_for_log("reload rejected")
        assert refused["mistakes"] == [f"{config}: No such file or directory; give the path of the YAML with --config"]
        await until_served(running, 1)
        home.mkdir(exist_ok=True)
        for number in (2, 3):
            write(config, revision(number))
            await until_served(running, number)


WITHOUT_INOTIFY = "echo 0 > /proc/sys/user/max_inotify_instances"
CHANGED_BELOW = "mount -t overlay overlay -o lowerdir={root}/below:{root}/empty {root}/mounted"


@pytest.mark.parametrize(
    ("preparation", "config", "edited"),
    [
        pytest.param(WITHOUT_INOTIFY, "below/signer.yaml", "below/signer.yaml", id="no inotify to be had"),
        # Like NFS: a change made on the other side is seen by whoever looks, and no event tells of it.
        pytest.param(CHANGED_BELOW, "mounted/signer.yaml", "below/signer.yaml", id="changed from elsewhere"),
    ],
)
async def test_where_no_events_come_the_files_are_looked_at(
    preparation: str,
    config: str,
    edited: str,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("below", "empty", "mounted"):
        (tmp_path / name).mkdir()
    write(tmp_path / edited, revision(1))
    prepare = preparation.format(root=tmp_path)
    await _skip_unless_possible(prepare)
    # The signer is started by this in the place of Python itself, as the same process.
    python = tmp_path / "python"
    write(python, f'#!/bin/sh\nexec unshare -rm sh -c \'{prepare} && exec "$0" "$@"\' {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    async with signer(session, tmp_path / config) as running:
        write(tmp_path / edited, revision(2))
        await until_served(running, 2)


async def _skip_unless_possible(prepare: str) -> None:
    if (await run(require_program("unshare"), "-rm", "sh", "-c", prepare)).status != 0:
        pytest.skip("this system allows no such namespace")
