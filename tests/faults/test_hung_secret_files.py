"""The secret files of many roles hang: other roles' keys are read, the admin routes respond, and the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.test_sdk_isolation import write_definitions
from tests.harness.files import replace
from tests.harness.hanging_directory import hanging_directory
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import LOCAL_ENVIRON, Signer, signer
from tests.harness.waiting import wait_until
from tests.localcloud.sdk import PROVIDER, ROLE
from tests.localcloud.test_oidc import token

pytestmark = pytest.mark.slow

HUNG = [f"hung{number}" for number in range(40)]
FAILING = ["pod", *HUNG]
"""The OIDC token of the role `pod` hangs too."""
TOKEN_SECONDS = "4"
SECRET = LOCAL_ENVIRON["OSS_ACCESS_KEY_SECRET"]


def assumed(cloud: Cloud, name: str, secret: Path) -> str:
    return (
        f'type: assume_role, role_arn: "acs:ram::1234567890123456:role/{name}", endpoint: "{cloud.sts}", '
        f'access_key_secret: "${{file:{secret}}}"'
    )


def write_files(cloud: Cloud, directory: Path, mount: Path) -> Path:
    """Write the files that the roles refer to, and return the definitions."""
    for file in (directory / "secret", *(mount / name for name in HUNG)):
        file.write_text(SECRET, encoding="utf-8")
    (mount / "oidc-token").write_text(token(), encoding="ascii")
    return write_definitions(
        directory,
        cloud,
        assumed=0,
        instance=0,
        expires="2s",
        healthy=assumed(cloud, "healthy", directory / "secret"),
        pod=f"type: oidc, role_arn: {ROLE}, provider_arn: {PROVIDER}, token_file: {mount}/oidc-token, endpoint: {cloud.sts}",
        **{name: assumed(cloud, name, mount / name) for name in HUNG},
    )


@asynccontextmanager
async def requests_for_all(running: Signer) -> AsyncIterator[None]:
    """Request forms of all apps again and again, so that all roles are in demand."""

    async def keep_requesting(app_id: str) -> None:
        while True:
            await running.upload_status(app_id)
            await asyncio.sleep(0.5)

    tasks = [asyncio.create_task(keep_requesting(app_id)) for app_id in ("healthy", *FAILING)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def roles_in(running: Signer, message: str, since: int) -> set[str]:
    return {entry["role"] for entry in running.log(message, since=since)}


async def test_secret_files_that_hang(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with (
        local_cloud(session, "--token-seconds", TOKEN_SECONDS) as cloud,
        hanging_directory(tmp_path) as mount,
        signer(session, write_files(cloud, tmp_path, mount.path)) as running,
        requests_for_all(running),
    ):
        await wait_until(lambda: roles_in(running, "credential refreshed", 0) == {"healthy", *FAILING})
        since = len(running.output)
        mount.hang()
        await wait_until(lambda: roles_in(running, "credential refresh failed", since) == set(FAILING))
        reasons = {entry["role"]: entry["error"] for entry in running.log("credential refresh failed", since=since)}
        hangs = "no response from its file system within 5 s"
        assert f"${{file:{mount.path}/hung7}} cannot be read: {hangs}; check its mount" in reasons["hung7"]
        assert reasons["pod"] == f"the OIDC token file {mount.path}/oidc-token cannot be read: {hangs}"

        since = len(running.output)
        await wait_until(lambda: len(running.log("credential refreshed", since=since)) >= 2)
        assert roles_in(running, "credential refreshed", since) == {"healthy"}
        assert await running.upload_status("healthy") == 201
        assert "oss_signer_build_info" in await running.metrics_text()
        assert (await running.status())["apps"] == len(FAILING) + 1

        def threads() -> int:
            return len(list(Path(f"/proc/{running.process.pid}/task").iterdir()))

        before = threads()
        await wait_until(lambda: len(running.log("credential refresh failed", since=since)) >= 3 * len(HUNG))
        assert threads() <= before + len(HUNG) // 2, "further attempts start no further reads"

        config = tmp_path / "signer.yaml"
        text = config.read_text(encoding="utf-8")
        status, outcome = await running.reload()
        assert (status, outcome["retrying"]) == (422, True)
        assert all("cannot be read" in mistake["message"] for mistake in outcome["mistakes"])
        replace(config, "\n".join(line for line in text.splitlines() if not line.startswith(("  hung", "  pod"))))
        await running.wait_for_log("definitions reloaded")
        assert await running.upload_status("hung0") == 404

        since = len(running.output)
        replace(config, text)
        await running.wait_for_log("reload rejected", since=since)
        assert await running.stop() == 0


async def test_the_profile_of_the_default_chain_hangs(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with local_cloud(session) as cloud, hanging_directory(tmp_path) as mount:
        (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
        healthy = {f"healthy{number}": assumed(cloud, f"r{number}", tmp_path / "secret") for number in range(3)}
        config = write_definitions(
            tmp_path, cloud, assumed=0, instance=0, expires="2s", chain="type: default, timeout: 3s", **healthy
        )
        (mount.path / ".aliyun").mkdir()
        (mount.path / ".aliyun/config.json").write_text("{}", encoding="utf-8")
        mount.hang()
        environ = {"HOME": str(mount.path), "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
        async with signer(session, config, environ=environ) as running:
            assert {await running.upload_status(app_id) for app_id in healthy} == {201}
            hangs = "the SDK's default chain does not return; check the mounts of the files that it reads"
            await wait_until(lambda: any(entry["error"] == hangs for entry in running.log("credential refresh failed")))
            mount.respond()
            await wait_until(lambda: "found no credential" in running.log("credential refresh failed")[-1]["error"])
            mount.hang()
            assert await running.stop() == 0
