"""`oss-signer events` lists, retries and drops dead letters through the admin address of a signer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.harness.processes import Completed
from tests.harness.signer import run_command

TOKEN = "the-token-of-the-operators"
KEY = "photos/\x1b[31m\u202egpj.jpg"


class AdminListener:
    """Responds like a signer with three dead letters on two pages, and records the changes."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, Any]] = []
        self.queries: list[str] = []
        self.url = ""

    def application(self) -> web.Application:
        """Return the routes."""
        app = web.Application()
        app.router.add_get("/-/events", self._list)
        app.router.add_post("/-/events/{action}", self._change)
        return app

    async def _list(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"code": "unauthenticated"}, status=401)
        self.queries.append(request.query_string)
        letters = [dead_letter(number) for number in range(3)]
        if request.query.get("app") == "nobody":
            return web.json_response({"events": [], "next": None})
        if "after" not in request.query:
            return web.json_response({"events": letters[:2], "next": "5"})
        return web.json_response({"events": letters[2:], "next": None})

    async def _change(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"code": "unauthenticated"}, status=401)
        document, action = await request.json(), request.match_info["action"]
        self.changes.append((action, document))
        missing = [each for each in document.get("ids", []) if each.startswith("unknown")]
        count = len(document.get("ids", "12")) - len(missing)
        return web.json_response({"retried" if action == "retry" else "dropped": count, "missing": missing})


def dead_letter(number: int) -> dict[str, Any]:
    return {
        "id": f"id-{number}",
        "app": "wx1",
        "received_at": "2026-11-24T22:16:08Z",
        "dead_lettered_at": "2026-11-24T23:16:08Z",
        "attempts": 20,
        "reason": "status 400",
        "late": number == 2,
        "event": {"bucket": "photos-prod", "key": KEY},
    }


@pytest.fixture
async def admin() -> AsyncIterator[AdminListener]:
    listener = AdminListener()
    async with TestServer(listener.application()) as server:
        listener.url = str(server.make_url("")).rstrip("/")
        yield listener


async def events(*arguments: object) -> Completed:
    return await run_command("events", *arguments, environ={"OSS_SIGNER_ADMIN_TOKEN": TOKEN})


async def test_list_prints_a_line_for_each(admin: AdminListener) -> None:
    listed = await events("list", "--admin", admin.url)
    assert (listed.status, listed.err) == (0, "")
    lines = listed.out.splitlines()
    assert [line.split()[0] for line in lines] == ["id-0", "id-1", "id-2"]
    assert lines[0].startswith("id-0  wx1  2026-11-24T22:16:08Z  photos-prod/photos/<U+001B>[31m<U+202E>gpj.jpg  ")
    assert lines[0].endswith("20 attempts, the last one: status 400")
    assert lines[2].endswith("; a newer upload was delivered since")


async def test_list_prints_json(admin: AdminListener) -> None:
    listed = await events("list", "--json", "--app", "wx1", "--admin", admin.url)
    assert json.loads(listed.out) == [dead_letter(number) for number in range(3)]
    assert admin.queries == ["app=wx1", "app=wx1&after=5"]


async def test_an_empty_list_is_reported(admin: AdminListener) -> None:
    listed = await events("list", "--app", "nobody", "--admin", admin.url)
    assert (listed.status, listed.out) == (0, "no dead letters\n")


@pytest.mark.parametrize(
    ("arguments", "selection"),
    [
        (["id-0", "id-1"], {"ids": ["id-0", "id-1"]}),
        (["--app", "wx1"], {"app": "wx1"}),
        (["--all"], {"all": True}),
    ],
)
@pytest.mark.parametrize(("action", "done"), [("retry", "retried"), ("drop", "dropped")])
async def test_dead_letters_are_changed(
    admin: AdminListener, action: str, done: str, arguments: list[str], selection: dict[str, Any]
) -> None:
    changed = await events(action, *arguments, "--admin", admin.url)
    assert (changed.status, changed.out, changed.err) == (0, f"{done} 2 events\n", "")
    assert admin.changes == [(action, selection)]


async def test_many_ids_are_sent_in_several_requests(admin: AdminListener) -> None:
    ids = [f"id-{number}" for number in range(1001)]
    changed = await events("drop", *ids, "--admin", admin.url)
    assert (changed.status, changed.out) == (0, "dropped 1,001 events\n")
    assert [document["ids"] for _, document in admin.changes] == [ids[:1000], ids[1000:]]


async def test_unknown_ids_are_reported(admin: AdminListener) -> None:
    changed = await events("retry", "id-0", "unknown-1", "--admin", admin.url)
    assert (changed.status, changed.out) == (1, "retried 1 event\n")
    assert changed.err.startswith("unknown-1 is not the id of a dead letter")


@pytest.mark.parametrize("arguments", [[], ["id-0", "--all"], ["--app", "wx1", "--all"]])
async def test_selection_has_to_be_clear(admin: AdminListener, arguments: list[str]) -> None:
    changed = await events("drop", *arguments, "--admin", admin.url)
    assert changed.status == 2
    assert "either ids, or --app, or --all" in changed.err
    assert admin.changes == []


async def test_address_and_token_are_those_of_the_definitions(admin: AdminListener, tmp_path: Path) -> None:
    config = tmp_path / "signer.yaml"
    address = admin.url.removeprefix("http://")
    config.write_text(
        f"version: 1\nserver: {{admin: '{address}', admin_token: {TOKEN}}}\n"
        "credentials: {r: {type: static, access_key_id: x, access_key_secret: y}}\n"
        "apps: {a: {key_prefix: p/, bucket: photos, region: cn-hangzhou, credentials: r}}\n",
        encoding="utf-8",
    )
    retried = await run_command("events", "retry", "--all", "--config", config)
    assert (retried.status, retried.out) == (0, "retried 2 events\n")


async def test_unreachable_signer_is_reported(admin: AdminListener) -> None:
    for url, message in (
        ("http://127.0.0.1:1", "no signer at http://127.0.0.1:1: "),
        (f"{admin.url}/elsewhere", f"{admin.url}/elsewhere is not the admin address of a signer: "),
    ):
        listed = await events("list", "--admin", url)
        assert (listed.status, listed.out) == (1, "")
        assert listed.err.startswith(message)
    listed = await run_command("events", "list", "--admin", admin.url, environ={"OSS_SIGNER_ADMIN_TOKEN": "wrong"})
    assert listed.status == 1
    assert "rejects the admin token" in listed.err
