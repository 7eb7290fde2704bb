"""Requested reloads: what they activate, what they reject, and what concurrent requests observe."""

from __future__ import annotations

import signal
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.revisions import (
    HEAD,
    app,
    logged_changes,
    revision,
    served_revision,
    wait_for_revision,
)
from tests.harness.files import replace, write
from tests.harness.signer import signer


async def test_reload_reports_what_it_changed(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", f"{HEAD}apps:\n{app(1)}{app(1, 'b')}{app(1, 'same')}")
    async with signer(session, config) as running:
        assert (await running.last_reload())["trigger"] == "start"
        changes = await logged_changes(running, config, f"{HEAD}apps:\n{app(2)}{app(1, 'c')}{app(1, 'same')}")
        assert changes == ["~ apps.a: max_size 1MiB -> 2MiB", "- apps.b", "+ apps.c"]
        assert [await served_revision(running, each) for each in ("a", "c", "same")] == [2, 1, 1]
        assert await running.upload_status("b") == 404
        assert await running.metric("config_apps") == 3
        status, outcome = await running.reload()
        assert (status, outcome["succeeded"], outcome["trigger"], outcome["changes"]) == (200, True, "request", [])
        assert await running.last_reload() == outcome


async def test_changed_defaults_are_reported_for_each_app_that_they_affect(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(main := tmp_path / "main.yaml", HEAD)
    write(tmp_path / "apps.yaml", apps := "apps:\n  a: {}\n  b: {expires: 5m}\n  c: {cors_origins: ['${ORIGIN}']}\n")
    async with signer(session, tmp_path, environ={"ORIGIN": "https://one.example.com"}) as running:
        text = HEAD.replace("defaults: {", "defaults: {expires: 7m, cors_origins: ['*'], ")
        assert await logged_changes(running, main, text) == [
            '~ apps.a: cors_origins (unset) -> ["*"], expires (unset) -> 7m',
            '~ apps.b: cors_origins (unset) -> ["*"]',
            "~ apps.c: expires (unset) -> 7m",
        ]
        # A value of the environment is shown as the reference.
        changes = await logged_changes(running, tmp_path / "apps.yaml", apps.replace("${ORIGIN}", "${ORIGIN:-*}"))
        assert changes == ['~ apps.c: cors_origins ["${ORIGIN}"] -> ["${ORIGIN:-*}"]']


async def test_sighup_reloads(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(tmp_path / "bucket", "photos-1")
    write(
        config := tmp_path / "signer.yaml",
        f"{HEAD}apps: {{a: {{key_prefix: '', bucket: '${{file:{tmp_path}/bucket}}'}}}}\n",
    )
    async with signer(session, config) as running:
        # No watched file changes, so only the signal can cause the reload.
        write(tmp_path / "bucket", "photos-2")
        running.process.send_signal(signal.SIGHUP)
        assert (await running.wait_for_log("definitions reloaded"))["trigger"] == "SIGHUP"
        assert "photos-2" in (await running.upload_form("a"))["url"]


async def test_reload_keeps_the_previous_definitions_when_a_file_is_invalid(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(tmp_path / "main.yaml", HEAD)
    write(first := tmp_path / "first.yaml", f"apps:\n{app(1)}")
    write(second := tmp_path / "second.yaml", f"apps:\n{app(1, 'b')}")
    async with signer(session, tmp_path) as running:
        good = await running.last_reload()
        assert (await running.metric("config_last_reload_successful")) == 1
        succeeded_at = await running.metric("config_last_reload_success_timestamp_seconds")
        write(first, f"apps:\n{app(2)}")
        write(second, f"apps:\n{app(2, 'b')}    max_sise: 3\n{app(2, 'c')}".replace("{max_size: 2MiB}", "", 1))
        status, outcome = await running.reload()
        assert status == 422
        mistakes = [(each["file"], each["line"], each["column"]) for each in outcome["mistakes"]]
        assert mistakes == [(str(second), 3, 5)]
        assert "max_size" in outcome["mistakes"][0]["message"]
        assert (outcome["succeeded"], outcome["revision"]) == (False, good["revision"])
        assert [await served_revision(running, each) for each in ("a", "b")] == [1, 1]
        assert await running.upload_status("c") == 404
        shown = await running.last_reload()
        assert (shown["succeeded"], shown["mistakes"]) == (False, outcome["mistakes"])
        logged = (await running.wait_for_log("reload rejected"))["mistakes"]
        assert logged[0].startswith(f"{second}:3:5: apps.b")
        assert await running.metric("config_last_reload_successful") == 0
        assert await running.metric("config_last_reload_success_timestamp_seconds") == succeeded_at
        write(second, f"apps:\n{app(2, 'b')}")
        status, outcome = await running.reload()
        assert (status, outcome["succeeded"]) == (200, True)
        assert outcome["revision"] != good["revision"]
        assert [await served_revision(running, each) for each in ("a", "b")] == [2, 2]
        assert await running.metric("config_last_reload_successful") == 1


async def test_reload_reports_every_mistake(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running:
        write(config, f"{HEAD}apps:\n  a: {{bucket: Photos}}\n  b: {{credentials: fixed, nmae: x}}\n")
        status, outcome = await running.reload()
        assert status == 422
        assert [(each["line"], each["column"]) for each in outcome["mistakes"]] == [(7, 15), (8, 27)]
        write(config, f"{HEAD}apps: {{")
        assert (await running.reload())[0] == 422
        await wait_for_revision(running, 1)


async def test_reload_keeps_the_previous_definitions_when_a_file_cannot_be_read(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running:
        config.rename(tmp_path / "away")
        status, outcome = await running.reload()
        assert (status, outcome["mistakes"]) == (503, [])
        assert outcome["error"] == f"{config}: No such file or directory; give the path of the YAML with --config"
        config.write_bytes(b"version: 1\n# \xff")
        status, outcome = await running.reload()
        assert (status, outcome["error"]) == (503, f"{config}: not UTF-8 at byte 13; save it as UTF-8")
        assert await served_revision(running) == 1
        (tmp_path / "away").replace(config)
        assert (await running.reload())[0] == 200


async def test_a_setting_that_needs_a_restart_is_reported_until_it_is_reverted(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running:
        for number in (2, 3):
            replace(config, revision(number).replace('listen: "127.0.0.1:0"', 'listen: "127.0.0.1:1"'))
            before = len(running.output)
            status, outcome = await running.reload()
            assert (status, outcome["needs_restart"]) == (200, ["server.listen"])
            assert (await running.last_reload())["needs_restart"] == ["server.listen"]
            warning = await running.wait_for_log("changed setting needs a restart", since=before)
            assert (warning["level"], warning["setting"]) == ("warning", "server.listen")
            assert await served_revision(running) == number
        replace(config, revision(4))
        assert (await running.reload())[1]["needs_restart"] == []


async def test_reload_reads_the_environment_file_and_referenced_files_again(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(environment := tmp_path / "signer.env", "BUCKET=photos-1\n")
    write(prefix := tmp_path / "prefix", "one/\n")
    write(
        config := tmp_path / "signer.yaml",
        f"{HEAD}apps: {{a: {{bucket: '${{BUCKET}}', key_prefix: '${{file:{prefix}}}'}}}}\n",
    )
    async with signer(session, config, environ={"OSS_SIGNER_ENV_FILE": str(environment)}) as running:
        write(environment, "BUCKET=photos-2\n")
        write(prefix, "two/\n")
        status, outcome = await running.reload()
        # The value of `${...}` may be secret, so it is not shown.
        change = f"~ apps.a: bucket ${{BUCKET}} has another value, key_prefix ${{file:{prefix}}} has another value"
        assert (status, outcome["changes"]) == (200, [change])
        assert (await running.last_reload())["changes"] == [change]
        form = await running.upload_form("a")
        assert (form["key_prefix"], form["url"]) == ("two/", "https://photos-2.oss-cn-hangzhou.aliyuncs.com")
        write(environment, "BUCKET=Photos\n")
        status, outcome = await running.reload()
        assert (status, outcome["mistakes"][0]["line"], outcome["mistakes"][0]["column"]) == (422, 6, 20)
        write(environment, "")
        status, outcome = await running.reload()
        assert (status, "${BUCKET} is not set" in outcome["mistakes"][0]["message"]) == (422, True)
        environment.unlink()
        status, outcome = await running.reload()
        assert (status, str(outcome["error"]).startswith(f"{environment}: No such file")) == (503, True)
        assert await running.upload_form("a")
        write(environment, "BUCKET=photos-3\n")
        prefix.unlink()
        status, outcome = await running.reload()
        assert (status, "cannot be read" in outcome["mistakes"][0]["message"]) == (422, True)
        write(prefix, "three/")
        assert (await running.reload())[0] == 200
        assert (await running.upload_form("a"))["key_prefix"] == "three/"


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_only_post_reloads(method: str, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running, session.request(method, f"{running.admin}/-/reload") as response:
        assert response.status == 405
