"""An edit, or a renewed certificate, arrives before what it needs: it becomes active by itself when that exists."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.e2e.revisions import app, revision, served_revision, wait_for_revision
from tests.faults.test_hung_files_of_the_process import tls_definitions
from tests.harness.descriptors import no_free_descriptor
from tests.harness.files import replace
from tests.harness.signer import signer
from tests.harness.waiting import wait_until
from tests.https.certificates import Authority, Certbot

pytestmark = pytest.mark.slow


async def test_a_secret_and_a_variable_that_appear_later(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    config, secret, env_file = tmp_path / "signer.yaml", tmp_path / "secret", tmp_path / "env"
    replace(config, revision(1))
    replace(env_file, "OTHER=x\n")
    async with signer(session, config, "--env-file", env_file) as running:
        keys = f"{{first: '${{file:{secret}}}', second: '${{SECOND}}'}}"
        replace(
            config,
            f"{revision(2)}{app(2, 'b')}".replace(
                "}\n  b: {", f"}}\n  b: {{callers: {{type: api_key, keys: {keys}}}, "
            ),
        )
        rejected = await running.wait_for_log("reload rejected")
        assert rejected["is_retrying"] and len(rejected["mistakes"]) == 2
        assert await running.metric("config_reload_retrying") == 1
        assert (await running.last_reload())["retrying"]
        replace(secret, "0" * 60 + "abcd")
        await wait_until(lambda: len(running.log("reload rejected")) == 2)
        assert len(running.log("reload rejected")[1]["mistakes"]) == 1
        assert await served_revision(running) == 1
        replace(env_file, f"SECOND={'0' * 60}abcd\n")
        await wait_for_revision(running, 2)
        assert (await running.last_reload())["trigger"] == "retry"
        assert await running.metric("config_reload_retrying") == 0
        env_file.unlink()
        replace(config, revision(3))
        await wait_until(lambda: len(running.log("reload rejected")) == 3)
        replace(env_file, "")
        await wait_for_revision(running, 3)
        assert len(running.log("reload rejected")) == 3, "once for each reason"


async def test_descriptors_that_are_free_later(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    files, authority = Certbot(tmp_path), Authority()
    files.renew(authority.issue())
    replace(config := tmp_path / "signer.yaml", tls_definitions(files))
    async with signer(session, config) as running:
        with no_free_descriptor(running.process.pid):
            replace(config, tls_definitions(files, size=2))
            files.renew(authority.issue())
            for message in ("reload rejected", "certificate rejected"):
                rejected = await running.wait_for_log(message)
                assert "Too many open files" in str(rejected) and rejected["is_retrying"]
        await running.wait_for_log("definitions reloaded")
        await running.wait_for_log("certificate renewed")
        assert len(running.log("reload rejected", "certificate rejected")) == 2, "once for each"
        assert await running.metric("tls_certificate_last_reload_successful") == 1
