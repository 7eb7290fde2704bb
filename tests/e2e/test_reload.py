"""Reloads that somebody asks for: what is taken over, what is refused, and what requests see of it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.e2e.reloading import HEAD, app, changes_by, readiness, replace, revision, served, until_served, write
from tests.harness.local_cloud import Cloud
from tests.harness.relay import relay
from tests.harness.signer import signer
from tests.harness.waiting import DEADLINE_SECONDS


async def test_a_reload_says_what_it_changed(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", f"{HEAD}apps:\n{app(1)}{app(1, 'b')}{app(1, 'same')}")
    async with signer(session, config) as running:
        assert (await running.last_reload())["trigger"] == "start"
        changes = await changes_by(running, config, f"{HEAD}apps:\n{app(2)}{app(1, 'c')}{app(1, 'same')}")
        assert changes == ["~ apps.a: max_size 1MiB -> 2MiB", "- apps.b", "+ apps.c"]
        assert [await served(running, each) for each in ("a", "c", "same")] == [2, 1, 1]
        assert await running.upload_status("b") == 404
        assert await running.metric("config_apps") == 3
        status, outcome = await running.reload()
        assert (status, outcome["succeeded"], outcome["trigger"], outcome["changes"]) == (200, True, "request", [])
        assert await running.last_reload() == outcome


async def test_new_defaults_are_told_of_each_app_that_they_change(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(main := tmp_path / "main.yaml", HEAD)
    write(tmp_path / "apps.yaml", apps := "apps:\n  a: {}\n  b: {expires: 5m}\n  c: {cors_origins: ['${ORIGIN}']}\n")
    async with signer(session, tmp_path, environ={"ORIGIN": "https://one.example.com"}) as running:
        text = HEAD.replace("defaults: {", "defaults: {expires: 7m, cors_origins: ['*'], ")
        assert await changes_by(running, main, text) == [
            '~ apps.a: cors_origins (unset) -> ["*"], expires (unset) -> 7m',
            '~ apps.b: cors_origins (unset) -> ["*"]',
            "~ apps.c: expires (unset) -> 7m",
        ]
        # What comes from the environment is shown as it was written.
        changes = await changes_by(running, tmp_path / "apps.yaml", apps.replace("${ORIGIN}", "${ORIGIN:-*}"))
        assert changes == ['~ apps.c: cors_origins ["${ORIGIN}"] -> ["${ORIGIN:-*}"]']


async def test_sighup_reloads(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(tmp_path / "bucket", "photos-1")
    write(config := tmp_path / "signer.yaml", f"{HEAD}apps: {{a: {{bucket: '${{file:{tmp_path}/bucket}}'}}}}\n")
    async with signer(session, config) as running:
        # No file that is watched changes, so it is the signal that counts.
        write(tmp_path / "bucket", "photos-2")
        running.process.send_signal(signal.SIGHUP)
        assert (await running.wait_for_log("definitions reloaded"))["trigger"] == "SIGHUP"
        assert "photos-2" in (await running.upload_form("a"))["url"]


async def test_all_or_nothing(session: aiohttp.ClientSession, tmp_path: Path) -> None:
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
        assert [await served(running, each) for each in ("a", "b")] == [1, 1]
        assert await running.upload_status("c") == 404
        shown = await running.last_reload()
        assert (shown["succeeded"], shown["mistakes"]) == (False, outcome["mistakes"])
        told = (await running.wait_for_log("reload rejected"))["mistakes"]
        assert told[0].startswith(f"{second}:3:5: apps.b: ")
        assert await running.metric("config_last_reload_successful") == 0
        assert await running.metric("config_last_reload_success_timestamp_seconds") == succeeded_at
        write(second, f"apps:\n{app(2, 'b')}")
        status, outcome = await running.reload()
        assert (status, outcome["succeeded"]) == (200, True)
        assert outcome["revision"] != good["revision"]
        assert [await served(running, each) for each in ("a", "b")] == [2, 2]
        assert await running.metric("config_last_reload_successful") == 1


async def test_every_mistake_is_answered(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running:
        write(config, f"{HEAD}apps:\n  a: {{bucket: Photos}}\n  b: {{credentials: fixed, nmae: x}}\n")
        status, outcome = await running.reload()
        assert status == 422
        assert [(each["line"], each["column"]) for each in outcome["mistakes"]] == [(7, 15), (8, 27)]
        write(config, f"{HEAD}apps: {{")
        assert (await running.reload())[0] == 422
        await until_served(running, 1)


async def test_definitions_that_cannot_be_read(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running:
        config.rename(tmp_path / "away")
        status, outcome = await running.reload()
        assert (status, outcome["mistakes"]) == (503, [])
        assert outcome["error"] == f"{config}: No such file or directory; give the path of the YAML with --config"
        config.write_bytes(b"version: 1\n# \xff")
        status, outcome = await running.reload()
        assert (status, outcome["error"]) == (503, f"{config}: is no UTF-8 text at byte 13; save it as UTF-8")
        assert await served(running) == 1
        (tmp_path / "away").replace(config)
        assert (await running.reload())[0] == 200


async def test_what_needs_a_restart_says_so_until_it_is_undone(session: aiohttp.ClientSession, tmp_path: Path) -> None:
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
            assert await served(running) == number
        replace(config, revision(4))
        assert (await running.reload())[1]["needs_restart"] == []


async def test_requests_under_way_end_as_they_began(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Two wait for a credential while one's app is removed, and the other's moved to another prefix and role."""
    config = tmp_path / "signer.yaml"
    async with relay(cloud.sts, held=True) as shut:
        role = f"slow: {{type: assume_role, endpoint: '{shut.url}', timeout: 50s}}"
        head = HEAD.replace("credentials:\n", f"credentials:\n  {role}\n")
        write(config, f"{head}apps: {{gone: {{credentials: slow}}, moved: {{credentials: slow, key_prefix: old/}}}}\n")
        async with signer(session, config, wait_for="listening") as running, asyncio.timeout(DEADLINE_SECONDS):
            waiting = [asyncio.create_task(running.upload_form(each)) for each in ("gone", "moved")]
            await shut.wait_for_connections(1)
            write(config, f"{head}apps: {{moved: {{key_prefix: new/}}}}\n")
            status, _ = await running.reload()
            assert status == 200
            assert await running.upload_status("gone") == 404
            form = await running.upload_form("moved")
            assert (form["key_prefix"], form["fields"]["x-oss-credential"].split("/")[0]) == ("new/", "LTAI-fixed")
            assert not any(task.done() for task in waiting)
            shut.release()
            gone, moved = await asyncio.gather(*waiting)
            assert (gone["key_prefix"], moved["key_prefix"]) == ("", "old/")
            for form in (gone, moved):
                assert form["fields"]["x-oss-credential"].startswith("STS.")


async def test_a_request_whose_body_comes_late_ends_as_it_began(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running, asyncio.timeout(DEADLINE_SECONDS):
        address = urlsplit(running.public)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = f"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 2\r\n\r\n"
        writer.write(head.encode() + b"{")
        await writer.drain()
        await served(running)
        # Neither the app nor its role is in the new definitions.
        write(config, f"{HEAD.replace('fixed', 'other')}apps:\n{app(2, 'b')}")
        assert (await running.reload())[0] == 200
        assert (await running.upload_status("a"), await served(running, "b")) == (404, 2)
        writer.write(b"}")
        assert await reader.readline() == b"HTTP/1.1 201 Created\r\n"
        writer.close()


async def test_a_new_role_has_its_token_before_it_is_in_force(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with (
        relay(cloud.sts, held=True) as shut,
        signer(session, config) as running,
        asyncio.timeout(DEADLINE_SECONDS),
    ):
        role = f"new: {{type: assume_role, endpoint: '{shut.url}'}}"
        text = revision(2).replace("credentials:\n", f"credentials:\n  {role}\n")
        write(config, f"{text}  b: {{credentials: new}}\n")
        async with readiness(running) as statuses:
            reloading = asyncio.create_task(running.reload())
            await shut.wait_for_connections(1)
            assert (await running.upload_status("b"), await served(running)) == (404, 1)
            shut.release()
            while (status := await running.upload_status("b")) == 404:
                pass
            assert status == 201
            assert (await reloading)[0] == 200
        assert await served(running) == 2
        assert set(statuses) == {200}


async def test_a_dead_new_role_holds_nobody_up(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Its first fetch takes a minute; the rest of the edit is in force long before, and the old one until then."""
    write(config := tmp_path / "signer.yaml", revision(1))
    async with relay(cloud.sts, held=True) as shut, signer(session, config) as running:
        role = f"dead: {{type: assume_role, endpoint: '{shut.url}', timeout: 60s}}"
        text = revision(2).replace("credentials:\n", f"credentials:\n  {role}\n")
        write(config, f"{text}  b: {{credentials: dead}}\n")
        async with asyncio.timeout(40):
            assert (await running.reload())[0] == 200
            await until_served(running, 2)
        async with session.get(f"{running.admin}/readyz") as answer:
            assert (answer.status, (await answer.json())["unusable_roles"]) == (503, ["dead"])
        # An edit that takes the role away again takes over at once.
        write(config, revision(3))
        assert (await running.reload())[0] == 200
        assert await served(running) == 3
        async with session.get(f"{running.admin}/readyz") as answer:
            assert answer.status == 200


async def test_the_environment_file_and_files_are_read_anew(session: aiohttp.ClientSession, tmp_path: Path) -> None:
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
        # What `${...}` stand for may be secret, so it is not shown.
        told = f"~ apps.a: bucket ${{BUCKET}} has another value, key_prefix ${{file:{prefix}}} has another value"
        assert (status, outcome["changes"]) == (200, [told])
        assert (await running.last_reload())["changes"] == [told]
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


async def test_reloads_take_turns(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """One that is held up by a new role must not put its older definitions in force over those of the next."""
    write(config := tmp_path / "signer.yaml", revision(1))
    async with (
        relay(cloud.sts, held=True) as shut,
        signer(session, config) as running,
        asyncio.timeout(DEADLINE_SECONDS),
    ):
        role = f"new: {{type: assume_role, endpoint: '{shut.url}'}}"
        write(config, revision(2).replace("credentials:\n", f"credentials:\n  {role}\n") + "  b: {credentials: new}\n")
        first = asyncio.create_task(running.reload())
        await shut.wait_for_connections(1)
        write(config, revision(3))
        running.process.send_signal(signal.SIGHUP)
        others = [asyncio.create_task(running.reload()) for _ in range(10)]
        await asyncio.wait(others, timeout=0.5)
        shut.release()
        ends = await asyncio.gather(first, *others)
        assert {status for status, _ in ends} == {200}
        assert await served(running) == 3
        assert await running.upload_status("b") == 404


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_only_a_post_reloads(method: str, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", revision(1))
    async with signer(session, config) as running, session.request(method, f"{running.admin}/-/reload") as answer:
        assert answer.status == 405
