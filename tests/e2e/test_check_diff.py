"""`check --diff` shows what a running signer would change."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp

from tests.e2e.revisions import HEAD, app, revision
from tests.harness.files import write
from tests.harness.processes import Completed
from tests.harness.signer import LOCAL_ENVIRON, run_command, signer


async def check(config: Path, *arguments: str) -> Completed:
    return await run_command("check", "--config", config, *arguments, environ=LOCAL_ENVIRON)


async def test_check_diff_reports_what_a_reload_then_changes(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", f"{HEAD}apps:\n{app(1)}{app(1, 'b')}{app(1, 'same')}")
    write(candidate := tmp_path / "candidate.yaml", f"{HEAD}apps:\n{app(2)}{app(1, 'c')}{app(1, 'same')}")
    async with signer(session, config) as running:
        checked = await check(candidate, "--diff", running.admin)
        assert checked.status == 0
        lines = ["~ apps.a: max_size 1MiB -> 2MiB", "- apps.b", "+ apps.c"]
        assert checked.out.splitlines()[:-1] == lines
        shown = json.loads((await check(candidate, "--json", "--diff", f"{running.admin}/")).out)
        assert shown["changes"] == lines
        candidate.replace(config)
        await running.reload()
        assert "no changes" in (await check(config, "--diff", running.admin)).out


async def test_check_diff_finds_the_admin_address_in_the_definitions(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running:
        port = running.admin.rpartition(":")[2]
        text = revision(2).replace('admin: "127.0.0.1:0"', f'admin: "0.0.0.0:{port}", admin_token: a-long-enough-token')
        write(candidate := tmp_path / "candidate.yaml", text)
        checked = await check(candidate, "--diff")
        assert checked.out.splitlines()[:-1] == [
            "~ apps.a: max_size 1MiB -> 2MiB",
            f"~ server: admin 127.0.0.1:0 -> 0.0.0.0:{port}, admin_token (unset) -> ***",
            "server.admin changed and needs a restart",
            "server.admin_token changed and needs a restart",
        ]


async def test_check_diff_reports_an_unreachable_signer(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running:
        for arguments, message in (
            (["--diff"], "server.admin has port 0, any free port; write the running signer's URL: --diff URL"),
            (["--diff", "http://127.0.0.1:1"], "no signer at http://127.0.0.1:1: "),
            (["--diff", running.public], f"{running.public} is not the admin address of a signer: "),
            (["--diff", "nonsense"], "no signer at nonsense: "),
        ):
            checked = await check(config, *arguments)
            assert (checked.status, checked.out) == (1, "")
            assert checked.err.startswith(message), checked.err
            assert "Traceback" not in checked.err
