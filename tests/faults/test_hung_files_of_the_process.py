"""All files of a signer but its program hang: it continues, each command ends with the reason, and so does the process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.revisions import HEAD, revision
from tests.harness.hanging_directory import hanging_directory
from tests.harness.ports import reserve_port
from tests.harness.signer import run_command, signer
from tests.harness.waiting import wait_until
from tests.https.certificates import Authority, Certbot

pytestmark = pytest.mark.slow

HANGS = "no response from its file system within 5 s"


def tls_definitions(files: Certbot, *, size: int = 1) -> str:
    tls = f"tls: {{certificate: {files.certificate}, key: {files.key}}}"
    return revision(size).replace("server: {", f"server: {{{tls}, ")


async def test_the_signer_continues_and_ends(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    authority = Authority()
    async with hanging_directory(tmp_path) as mount:
        (mount.path / "tls").mkdir()
        files = Certbot(mount.path / "tls")
        files.renew(authority.issue())
        (config := mount.path / "signer.yaml").write_text(tls_definitions(files), encoding="utf-8")
        (env_file := mount.path / "env").write_text("OSS_ACCESS_KEY_SECRET=s\n", encoding="utf-8")
        (runtime := mount.path / "run").mkdir()
        environ = {"RUNTIME_DIRECTORY": str(runtime)}
        async with signer(session, config, "--env-file", env_file, environ=environ) as running:
            mount.hang()
            rejected = await running.wait_for_log("reload rejected")
            assert rejected["mistakes"] == [f"{config}: {HANGS}; check its mount"] and rejected["is_retrying"]
            certificate = await running.wait_for_log("certificate rejected")
            assert HANGS in certificate["error"] and certificate["is_retrying"]
            url = f"{running.public}/v1/apps/a/uploads"
            async with session.post(url, json={}, ssl=authority.client_context()) as response:
                assert response.status == 201
            assert await running.metric("config_reload_retrying") == 1
            assert await running.metric("tls_certificate_reload_retrying") == 1
            troubles = [each["text"] for each in (await running.status())["troubles"]]
            assert all("each poll tries again" in text for text in troubles) and len(troubles) == 2
            status, outcome = await running.reload()
            assert (status, outcome["error"]) == (503, f"{config}: {HANGS}; check its mount")

            mount.respond()
            await wait_until(lambda: bool(running.log("certificate valid again")))
            await running.wait_for_log("definitions reloaded")
            assert await running.metric("config_reload_retrying") == 0
            mount.hang()
            await wait_until(lambda: len(running.log("reload rejected")) > 1)
            assert await running.stop() == 0


async def test_each_command_ends_with_the_reason(tmp_path: Path) -> None:
    async with hanging_directory(tmp_path) as mount:
        files = Certbot(mount.path)
        files.renew(Authority().issue())
        (healthy := tmp_path / "healthy.yaml").write_text(revision(1), encoding="utf-8")
        (tls := tmp_path / "tls.yaml").write_text(tls_definitions(files), encoding="utf-8")
        secret = HEAD.replace("${OSS_ACCESS_KEY_SECRET}", "${file:$CREDENTIALS_DIRECTORY/secret}")
        (with_secret := tmp_path / "secret.yaml").write_text(f"{secret}apps: {{a: {{}}}}\n", encoding="utf-8")
        for name in ("signer.yaml", "env", "secret"):
            (mount.path / name).write_text("", encoding="utf-8")
        environ = {"OSS_ACCESS_KEY_SECRET": "s", "CREDENTIALS_DIRECTORY": str(mount.path)}
        nowhere = f"http://127.0.0.1:{reserve_port()}/"
        mount.hang()
        cases: list[tuple[tuple[object, ...], str]] = [
            (("check", "--config", mount.path / "signer.yaml"), f"{mount.path}/signer.yaml: {HANGS}; check its mount"),
            (("check", "--config", healthy, "--env-file", mount.path / "env"), f"{mount.path}/env: {HANGS}; check its"),
            (("check", "--config", with_secret), f"/secret}} cannot be read: {HANGS}; check its mount"),
            (
                ("check", "--config", tls),
                f"server.tls.certificate: {files.certificate} or its key cannot be read: {HANGS}",
            ),
            (("serve", "--config", nowhere, "--state-dir", mount.path), "the last good copy cannot be read: "),
            (("push", healthy, "--config", mount.path / "new.yaml"), f"{mount.path}/new.yaml: {HANGS}"),
            (("doctor", "--config", healthy, "--env-file", mount.path / "env"), "check its mount"),
        ]
        ended = await asyncio.gather(*(run_command(*arguments, environ=environ) for arguments, _ in cases))
    for (_, reason), completed in zip(cases, ended, strict=True):
        assert completed.status == 1 and reason in completed.out + completed.err, (reason, completed)
