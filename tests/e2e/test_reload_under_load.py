"""Two hundred reloads under constant load, every fifth one broken: no request notices."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.layouts import config_map
from tests.harness.oss_upload import decode_policy
from tests.harness.signer import Signer, signer

RELOADS = 200
CLIENTS = 6
EVERY = {"a": 1, "b": 2, "d": 4}
"""Each app changes with every so many revisions; what is not its own, from `defaults`, with every fourth."""
APPS = tuple(EVERY)
MAIN = 4
ROLES = 3
PAUSE_SECONDS = 0.002
CLOCK = "%Y%m%dT%H%M%SZ"


def stamp(number: int, every: int) -> int:
    """What shows in the revision `number` of something that changes with every so many."""
    return number - number % every


def rules(number: int, indent: str) -> str:
    lines = (f"key_prefix: r{number}/", f"max_size: {number + 1}MiB", f"headers: {{x-oss-meta-revision: '{number}'}}")
    return "".join(f"{indent}{line}\n" for line in lines)


def files(number: int) -> dict[str, str]:
    """The definitions of this revision. It shows in each member of an answer that they can shape, from every file."""
    main = stamp(number, MAIN)
    roles = "".join(
        f"  r{n}: {{type: static, access_key_id: LTAI-{n}, access_key_secret: secret}}\n" for n in range(ROLES)
    )
    # All roles stay in use, whichever the apps under load have just now.
    used = "".join(f"  keep{n}: {{credentials: r{n}}}\n" for n in range(ROLES))
    head = f"""\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
{roles}
defaults:
  bucket: photos
  region: cn-hangzhou
  credentials: r{main % ROLES}
  expires: {600 + main}s
  domain: https://r{main}.example.com
{rules(main, "  ")}
apps:
{used}"""
    mistake = "" if good(number) else "    max_sise: 1\n"
    return {
        "main.yaml": head,
        "a.yaml": "apps:\n  a:\n" + rules(number, "    "),
        "b.yaml": "apps:\n  b:\n" + rules(stamp(number, EVERY["b"]), "    ") + mistake,
        "d.yaml": "apps: {d: {}}\n",
    }


def good(number: int) -> bool:
    return number % 5 != 0


@dataclass
class Load:
    """What the clients have seen so far."""

    in_force: int
    """At least this revision answers a request that begins now."""
    newest: int
    """At most this one."""
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By app and what it showed."""
    over: bool = False


async def ask(running: Signer, app: str, *, documented: bool) -> dict[str, Any]:
    if documented:
        async with running.session.get(f"{running.public}/generate_signature", params={"app_id": app}) as answer:
            body: dict[str, Any] = await answer.json()
            assert answer.status == 200, body
            return {
                "url": body["host"],
                "key_prefix": body["key_prefix"],
                "policy": body["policy"],
                "expires_at": body["expires_at"],
            }
    form = await running.upload_form(app)
    assert form["max_size"] % 2**20 == 0
    assert f"{form['max_size'] // 2**20 - 1}" == form["fields"]["x-oss-meta-revision"]
    return {**form, "policy": form["fields"]["policy"]}


def stamp_of(form: dict[str, Any]) -> int:
    """What the app's own rules show, once all the rest is seen to be of the same revision."""
    policy = decode_policy(form["policy"])
    conditions = {
        name: value
        for each in policy["conditions"]
        for name, value in (each.items() if isinstance(each, dict) else [(str(each[1]), each[2])])
    }
    signed = datetime.strptime(conditions["x-oss-date"], CLOCK)
    expires = datetime.fromisoformat(form["expires_at"]).replace(tzinfo=None)
    own = {
        "key_prefix": form["key_prefix"].removeprefix("r").removesuffix("/"),
        "pinned prefix": conditions["$key"].removeprefix("r").removesuffix("/"),
        "pinned size": str(conditions["1"] // 2**20 - 1),
    }
    if "x-oss-meta-revision" in conditions:
        # Clients of the documented endpoint build their own form, so that it pins no headers.
        own["header"] = conditions["x-oss-meta-revision"]
    defaults = {
        "url": form["url"].removeprefix("https://r").removesuffix(".example.com"),
        "expires": str(int((expires - signed).total_seconds()) - 600),
    }
    assert (len(set(own.values())), len(set(defaults.values()))) == (1, 1), (own, defaults)
    number, main = int(own["key_prefix"]), int(defaults["url"])
    assert main == stamp(number, MAIN), (own, defaults)
    assert conditions["x-oss-credential"].startswith(f"LTAI-{main % ROLES}/"), (own, defaults, conditions)
    return number


async def go_on_asking(running: Signer, load: Load, first: int) -> None:
    for turn in itertools.count(first):
        if load.over:
            return
        app = APPS[turn % len(APPS)]
        at_least = load.in_force
        number = stamp_of(await ask(running, app, documented=turn // len(APPS) % 2 == 0))
        assert stamp(at_least, EVERY[app]) <= number <= stamp(load.newest, EVERY[app])
        if app == "a":
            assert good(number)
        load.answers[app, number] += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def test_no_request_fails_or_is_mixed(tmp_path: Path) -> None:
    edit = config_map(tmp_path, files)
    edit(1)
    connections = 0

    async def count(*_: object) -> None:
        nonlocal connections
        connections += 1

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(count)
    async with (
        aiohttp.ClientSession() as admin_session,
        aiohttp.ClientSession(trace_configs=[trace], connector=aiohttp.TCPConnector(limit=CLIENTS)) as session,
        signer(session, tmp_path) as running,
    ):
        admin = Signer(running.public, running.admin, running.process, admin_session)
        load = Load(in_force=1, newest=1)
        async with asyncio.TaskGroup() as tasks:
            for client in range(CLIENTS):
                tasks.create_task(go_on_asking(running, load, client))
            for number in range(2, RELOADS + 2):
                if good(number):
                    # The signer's own watch may be faster than our request for a reload.
                    load.newest = number
                edit(number)
                status, outcome = await admin.reload()
                assert status == (200 if good(number) else 422), outcome
                if good(number):
                    load.in_force = number
                    for app, every in EVERY.items():
                        form = await ask(admin, app, documented=bool(number % 2))
                        assert stamp_of(form) == stamp(number, every)
            load.over = True
        assert (await admin.last_reload())["succeeded"] is good(RELOADS + 1)
        assert await admin.metric("config_last_reload_successful") == good(RELOADS + 1)
        # Each kept its connection for the whole time.
        assert connections == CLIENTS
        assert sum(load.answers.values()) >= RELOADS
        assert not [line for line in running.output if "internal error" in line or "traceback" in line]
