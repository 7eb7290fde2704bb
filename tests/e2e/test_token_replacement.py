"""The sessions of a role are revoked: `oss-signer refresh` lets every worker fetch a new token."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import post_object
from tests.harness.processes import Completed
from tests.harness.signer import Signer, run_command, signer
from tests.harness.waiting import wait_until


@pytest.fixture
async def workers(session: aiohttp.ClientSession, cloud: Cloud, tmp_path: Path) -> AsyncIterator[list[Signer]]:
    """Two workers of one machine."""
    url = await cloud.create_bucket("photos")
    (config := tmp_path / "signer.yaml").write_text(
        f"""\
version: 1
server: {{listen: '127.0.0.1:0', admin: 'unix:{tmp_path}/admin.sock'}}
credentials:
  uploader: {{type: assume_role, endpoint: '{cloud.sts}'}}
  instance: {{type: ecs_ram_role, endpoint: '{cloud.metadata}'}}
defaults: {{region: cn-hangzhou, bucket: photos, domain: '{url}'}}
apps:
  a: {{key_prefix: a/, credentials: uploader}}
  b: {{key_prefix: b/, credentials: instance}}
""",
        encoding="utf-8",
    )
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                signer(session, config, "--worker", number, environ={"RUNTIME_DIRECTORY": str(tmp_path)})
            )
            for number in (1, 2)
        ]


async def refresh(runtime: Path, *arguments: str) -> Completed:
    return await run_command("refresh", *arguments, "--runtime-dir", runtime)


def has_logged_refreshes(worker: Signer, count: int) -> bool:
    """Return whether the worker has logged this many tokens that were replaced on request."""
    return [entry["reason"] for entry in worker.log("credential refreshed")].count("forced") == count


async def upload_status(session: aiohttp.ClientSession, cloud: Cloud, worker: Signer, app: str = "a") -> int:
    """Upload a file with a form of a worker, and return the status of OSS."""
    form = await worker.upload_form(app, {"filename": "cat.jpg"})
    status, _, _ = await post_object(session, f"{cloud.oss}/photos", form["fields"], b"x")
    return status


async def test_every_worker_uploads_with_a_new_token(
    workers: list[Signer], session: aiohttp.ClientSession, cloud: Cloud, tmp_path: Path
) -> None:
    assert [await upload_status(session, cloud, worker) for worker in workers] == [200, 200]
    await cloud.set_faults(oss={"kind": "revoked"})
    await cloud.set_faults()
    assert [await upload_status(session, cloud, worker) for worker in workers] == [403, 403]
    ended = await refresh(tmp_path, "uploader")
    assert (ended.status, ended.err) == (0, "")
    expected = [f"unix:{tmp_path}/admin{suffix}.sock  uploader: new token" for suffix in ("", "-2")]
    assert [line.partition(",")[0] for line in ended.out.splitlines()] == expected
    assert [await upload_status(session, cloud, worker) for worker in workers] == [200, 200]
    assert [await upload_status(session, cloud, worker, "b") for worker in workers] == [403, 403]
    assert (await refresh(tmp_path)).status == 0
    assert [await upload_status(session, cloud, worker, "b") for worker in workers] == [200, 200]
    for worker in workers:
        # The log is written a moment later.
        await wait_until(partial(has_logged_refreshes, worker, 3))
        assert len(worker.log("credential refresh requested")) == 2


async def test_while_sts_is_down_forms_are_refused_or_keep_the_old_token(
    workers: list[Signer], cloud: Cloud, tmp_path: Path
) -> None:
    worker = workers[0]
    await cloud.set_faults(sts={"kind": "status", "status": 502})
    kept = await refresh(tmp_path, "uploader", "--keep")
    assert kept.status == 1 and "the old token is used until then" in kept.err
    assert await worker.upload_status("a") == 201
    refused = await refresh(tmp_path, "uploader")
    assert refused.status == 1 and "the old token is not used any more" in refused.err
    status, problem = await worker.try_upload_form("a")
    assert (status, problem["code"]) == (503, "credentials_unavailable")
    assert await worker.upload_status("b") == 201
    await cloud.set_faults()
    assert (await refresh(tmp_path, "uploader")).status == 0
    assert await worker.upload_status("a") == 201


async def test_a_worker_that_was_killed_is_left_out(workers: list[Signer], tmp_path: Path) -> None:
    workers[0].process.kill()
    await workers[0].process.wait()
    ended = await refresh(tmp_path)
    assert (ended.status, ended.err) == (0, "")
    assert {line.partition("  ")[0] for line in ended.out.splitlines()} == {f"unix:{tmp_path}/admin-2.sock"}
