"""`oss-signer refresh` finds the signers of this machine, and prints what happened to each role."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from signer.server.reload_record import ReloadRecord
from tests.harness.ports import reserve_port
from tests.harness.processes import Completed, launch, run
from tests.harness.signer import run_command

TOKEN = "the-token-of-the-operators"
ENDED = {
    "role": "r",
    "outcome": "replaced",
    "expires_at": "2026-11-24T22:16:08Z",
    "error": None,
    "next_attempt_at": None,
}
FAILED = ENDED | {
    "outcome": "failed",
    "expires_at": None,
    "error": "STS at sts.aliyuncs.com timed out \x1b[31m",
    "next_attempt_at": "2026-11-24T22:16:09Z",
}
NOT_FOUND = {"code": "not_found", "detail": "no role that an enabled app uses has this name; known: r"}


class AdminListener:
    """Responds like a signer, and records the queries."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.status = 200
        self.document: Any = {"succeeded": True, "roles": [ENDED]}
        self.url = ""

    async def refresh(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"code": "unauthenticated"}, status=401)
        self.queries.append(request.query_string)
        return web.json_response(self.document, status=self.status)


@pytest.fixture
async def admin() -> AsyncIterator[AdminListener]:
    listener = AdminListener()
    application = web.Application()
    application.router.add_post("/-/refresh", listener.refresh)
    async with TestServer(application) as server:
        listener.url = str(server.make_url("")).rstrip("/")
        yield listener


async def refresh(*arguments: object, token: str = TOKEN) -> Completed:
    return await run_command("refresh", *arguments, environ={"OSS_SIGNER_ADMIN_TOKEN": token})


async def test_a_new_token_is_reported(admin: AdminListener) -> None:
    ended = await refresh("r", "--admin", admin.url)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == f"{admin.url}  r: new token, expires at 2026-11-24T22:16:08Z\n"
    assert (await refresh("--keep", "--admin", admin.url)).status == 0
    assert admin.queries == ["role=r", "keep=true"]


async def test_an_unchanged_key_and_a_removed_role_are_reported(admin: AdminListener) -> None:
    unchanged = ENDED | {"outcome": "unchanged", "expires_at": None}
    admin.document = {"succeeded": True, "roles": [unchanged, ENDED | {"outcome": "removed"}]}
    ended = await refresh("--admin", admin.url)
    assert ended.status == 0
    assert "the source returned the same token again, which is used; it does not expire" in ended.out
    assert "removed by a reload" in ended.out


async def test_a_failure_shows_whether_the_old_token_is_used(admin: AdminListener) -> None:
    admin.status, admin.document = 503, {"succeeded": False, "roles": [FAILED, ENDED | {"outcome": "waiting"}]}
    for keep, said in (((), "not used any more"), (("--keep",), "used until then")):
        ended = await refresh(*keep, "--admin", admin.url)
        assert (ended.status, ended.out) == (1, "")
        failed, waiting = ended.err.splitlines()
        assert "r: STS at sts.aliyuncs.com timed out" in failed and "next attempt at 2026-11-24T22:16:09Z" in failed
        assert said in failed and said in waiting
        assert "\x1b" not in ended.err


@pytest.mark.parametrize(
    ("status", "document", "reason"),
    [
        (404, NOT_FOUND, "no role that an enabled app uses has this name; known: r"),
        (404, {"code": "not_found", "detail": "this server has no such path"}, "no such path"),
        (503, {"detail": "Service unavailable"}, "use the command of the signer's version"),
        (200, [], "use the command of the signer's version"),
        (500, [], "is not the admin address of a signer"),
    ],
)
async def test_an_unexpected_response_is_explained(
    admin: AdminListener, status: int, document: object, reason: str
) -> None:
    admin.status, admin.document = status, document
    ended = await refresh("x", "--admin", admin.url)
    assert (ended.status, ended.out) == (1, "")
    assert reason in ended.err


async def test_a_wrong_token_is_explained(admin: AdminListener) -> None:
    ended = await refresh("--admin", admin.url, token="wrong")
    assert ended.status == 1
    assert "set OSS_SIGNER_ADMIN_TOKEN to its token" in ended.err


async def test_every_running_signer_is_called_and_an_ended_one_is_not(admin: AdminListener, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{reserve_port()}"
    async with launch(sys.executable, "-c", "") as process:
        await process.wait()
    for number, record in enumerate(
        (ReloadRecord(os.getpid(), admin.url), ReloadRecord(process.pid, admin.url), ReloadRecord(os.getpid(), nobody)),
        1,
    ):
        record.write(ReloadRecord.path(tmp_path, number))
    (tmp_path / "worker-4.json").write_text("{", encoding="utf-8")
    ended = await refresh("--runtime-dir", tmp_path)
    assert ended.status == 1
    assert ended.out == f"{admin.url}  r: new token, expires at 2026-11-24T22:16:08Z\n"
    assert ended.err.startswith(f"{nobody}  no signer at ")
    assert len(admin.queries) == 1


async def test_without_a_running_signer_the_option_is_named(tmp_path: Path) -> None:
    ended = await refresh("--runtime-dir", tmp_path)
    assert ended.status == 1
    assert ended.err == f"no running signer found in {tmp_path}; write its admin address: --admin URL\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run a command as another user")
@pytest.mark.parametrize("is_directory", [False, True])
async def test_a_record_of_another_user_requires_root(tmp_path: Path, is_directory: bool) -> None:
    """As a signer of systemd writes it."""
    path = ReloadRecord.path(tmp_path, 1)
    ReloadRecord(os.getpid()).write(path)
    path.chmod(0o600)
    for parent in tmp_path.parents[: tmp_path.parents.index(Path(tempfile.gettempdir()))]:
        parent.chmod(0o755)
    tmp_path.chmod(0o700 if is_directory else 0o755)
    code = f"import os; os.setuid(65534); from signer.cli import main; raise SystemExit(main(['refresh', '--runtime-dir', {str(tmp_path)!r}]))"
    ended = await run(sys.executable, "-c", f"import signer.cli, signer.commands.refresh; {code}")
    assert ended.status == 1
    assert "permission denied; run the command as root" in ended.err
