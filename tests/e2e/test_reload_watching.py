"""Edits that the signer detects by watching its files, however they are changed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.layouts import LAYOUTS, Layout
from tests.e2e.revisions import HEAD, INVALID, app, revision, wait_for_revision, wait_for_status
from tests.harness.files import write
from tests.harness.processes import run
from tests.harness.programs import require_program
from tests.harness.signer import signer


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_an_edit_is_activated(layout: Layout, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    config, edit = layout(tmp_path)
    edit(1)
    async with signer(session, config) as running:
        for number in (2, 3):
            edit(number)
            await wait_for_revision(running, number)
        assert (await running.last_reload())["succeeded"]
        # No half-written file was read.
        assert not [line for line in running.output if '"level": "error"' in line]


async def test_files_of_a_directory_can_be_added_and_removed(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(tmp_path / "main.yaml", f"{HEAD}apps:\n{app(1)}")
    async with signer(session, tmp_path) as running:
        write(tmp_path / "b.yaml", f"apps:\n{app(1, 'b')}")
        await wait_for_status(running, "b", 201)
        (tmp_path / "b.yaml").unlink()
        await wait_for_status(running, "b", 404)
        write(tmp_path / "b.yaml.off", f"apps:\n{app(1, 'b')}")
        (tmp_path / "b.yaml.off").rename(tmp_path / "b.yaml")
        await wait_for_status(running, "b", 201)
        assert await running.upload_status("a") == 201


async def test_an_invalid_edit_changes_nothing_and_its_fix_is_activated(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running:
        write(config, INVALID)
        await running.wait_for_log("reload rejected")
        await wait_for_revision(running, 1)
        write(config, revision(2))
        await wait_for_revision(running, 2)


@pytest.mark.parametrize("directory_too", [False, True])
async def test_deleted_definitions_can_be_restored(
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
        await wait_for_revision(running, 1)
        home.mkdir(exist_ok=True)
        for number in (2, 3):
            write(config, revision(number))
            await wait_for_revision(running, number)


CHANGED_BELOW = "mount -t overlay overlay -o lowerdir={root}/below:{root}/empty {root}/mounted"


async def test_an_edit_on_another_machine_is_activated(
    session: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS, the change can be read but causes no event."""
    for name in ("below", "empty", "mounted"):
        (tmp_path / name).mkdir()
    write(tmp_path / "below/signer.yaml", revision(1))
    prepare = CHANGED_BELOW.format(root=tmp_path)
    await _skip_unless_permitted(prepare)
    # This script replaces the Python interpreter of the signer, in the same process.
    python = tmp_path / "python"
    write(python, f'#!/bin/sh\nexec unshare -rm sh -c \'{prepare} && exec "$0" "$@"\' {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    async with signer(session, tmp_path / "mounted/signer.yaml") as running:
        write(tmp_path / "below/signer.yaml", revision(2))
        await wait_for_revision(running, 2)


async def _skip_unless_permitted(prepare: str) -> None:
    if (await run(require_program("unshare"), "-rm", "sh", "-c", prepare)).status != 0:
        pytest.skip("this system does not permit the namespace")
