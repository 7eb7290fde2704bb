"""Two hundred reloads under constant load, every fifth one invalid: every request succeeds."""

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
CHANGE_INTERVAL = {"a": 1, "b": 2, "d": 4}
"""In how many revisions each app changes once."""
APPS = tuple(CHANGE_INTERVAL)
DEFAULTS_INTERVAL = 4
"""In how many revisions `defaults` change once."""
ROLES = 3
PAUSE_SECONDS = 0.002
OSS_DATE = "%Y%m%dT%H%M%SZ"


def last_change(number: int, interval: int) -> int:
    """Return the last revision, up to `number`, in which something with this interval changed."""
    return number - number % interval


def rules(number: int, indent: str) -> str:
    lines = (f"key_prefix: r{number}/", f"max_size: {number + 1}MiB", f"headers: {{x-oss-meta-revision: '{number}'}}")
    return "".join(f"{indent}{line}\n" for line in lines)


def files(number: int) -> dict[str, str]:
    """Return the definitions of a revision, which every member of a form that depends on them shows."""
    main = last_change(number, DEFAULTS_INTERVAL)
    roles = "".join(
        f"  r{n}: {{type: static, access_key_id: LTAI-{n}, access_key_secret: secret}}\n" for n in range(ROLES)
    )
    # Keep all roles in use, whichever the apps under load have.
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
    mistake = "" if is_valid(number) else "    max_sise: 1\n"
    return {
        "main.yaml": head,
        "a.yaml": "apps:\n  a:\n" + rules(number, "    "),
        "b.yaml": "apps:\n  b:\n" + rules(last_change(number, CHANGE_INTERVAL["b"]), "    ") + mistake,
        "d.yaml": "apps: {d: {}}\n",
    }


def is_valid(number: int) -> bool:
    return number % 5 != 0


@dataclass
class Load:
    """What the clients may observe, and what they have observed."""

    active: int
    """The oldest revision that a request may observe from now on."""
    newest: int
    """The newest revision that a request may observe."""
    responses: Counter[tuple[str, int]] = field(default_factory=Counter)
    """The number of responses by app and revision."""
    ended: bool = False


async def request_form(running: Signer, app: str, *, documented: bool) -> dict[str, Any]:
    if documented:
        async with running.session.get(f"{running.public}/generate_signature", params={"app_id": app}) as response:
            body: dict[str, Any] = await response.json()
            assert response.status == 200, body
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


def revision_of(form: dict[str, Any]) -> int:
    """Return the revision of the app's own rules, after checking that the whole form is of one revision."""
    policy = decode_policy(form["policy"])
    conditions = {
        name: value
        for each in policy["conditions"]
        for name, value in (each.items() if isinstance(each, dict) else [(str(each[1]), each[2])])
    }
    signed = datetime.strptime(conditions["x-oss-date"], OSS_DATE)
    expires = datetime.fromisoformat(form["expires_at"]).replace(tzinfo=None)
    own = {
        "key_prefix": form["key_prefix"].removeprefix("r").removesuffix("/"),
        "pinned prefix": conditions["$key"].removeprefix("r").removesuffix("/"),
        "pinned size": str(conditions["1"] // 2**20 - 1),
    }
    if "x-oss-meta-revision" in conditions:
        # Clients of the sample endpoint build their own form, so its policy contains no headers.
        own["header"] = conditions["x-oss-meta-revision"]
    defaults = {
        "url": form["url"].removeprefix("https://r").removesuffix(".example.com"),
        "expires": str(int((expires - signed).total_seconds()) - 600),
    }
    assert (len(set(own.values())), len(set(defaults.values()))) == (1, 1), (own, defaults)
    number, main = int(own["key_prefix"]), int(defaults["url"])
    assert main == last_change(number, DEFAULTS_INTERVAL), (own, defaults)
    assert conditions["x-oss-credential"].startswith(f"LTAI-{main % ROLES}/"), (own, defaults, conditions)
    return number


async def keep_requesting(running: Signer, load: Load, first: int) -> None:
    for turn in itertools.count(first):
        if load.ended:
            return
        app = APPS[turn % len(APPS)]
        oldest = load.active
        number = revision_of(await request_form(running, app, documented=turn // len(APPS) % 2 == 0))
        assert last_change(oldest, CHANGE_INTERVAL[app]) <= number <= last_change(load.newest, CHANGE_INTERVAL[app])
        if app == "a":
            assert is_valid(number)
        load.responses[app, number] += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def test_no_request_fails_or_mixes_two_revisions(tmp_path: Path) -> None:
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
        load = Load(active=1, newest=1)
        async with asyncio.TaskGroup() as tasks:
            for client in range(CLIENTS):
                tasks.create_task(keep_requesting(running, load, client))
            for number in range(2, RELOADS + 2):
                if is_valid(number):
                    # The signer watches the files, so it may reload before it is requested to.
                    load.newest = number
                edit(number)
                status, outcome = await admin.reload()
                assert status == (200 if is_valid(number) else 422), outcome
                if is_valid(number):
                    load.active = number
                    for app, interval in CHANGE_INTERVAL.items():
                        form = await request_form(admin, app, documented=bool(number % 2))
                        assert revision_of(form) == last_change(number, interval)
            load.ended = True
        assert (await admin.last_reload())["succeeded"] is is_valid(RELOADS + 1)
        assert await admin.metric("config_last_reload_successful") == is_valid(RELOADS + 1)
        # No client lost its connection.
        assert connections == CLIENTS
        assert {app for app, _ in load.responses} == set(APPS)
        assert not [line for line in running.output if "internal error" in line or "traceback" in line]
