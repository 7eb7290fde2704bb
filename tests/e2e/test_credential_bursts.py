"""Many requests or many roles at once: STS gets one call for each role, at a limited pace.

Figures are printed with `pytest -s`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.client_crowd import client_crowd, open_files_limit
from tests.e2e.client_load import failures, request_form, requesting_forms
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.relay import relay
from tests.harness.signer import LISTENING, Entry, signer
from tests.harness.waiting import DEADLINE_SECONDS, wait_until

HEAD = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
TIMEOUT = f"{DEADLINE_SECONDS:.0f}s"
CROWD = 10_000
SPARE_FILES = 200
ROLES = 200
MAX_FETCHES_PER_SECOND = 31
PACE_WINDOW_SECONDS = 3
PACE_SLACK_SECONDS = 1
"""How long a busy machine may hold fetches up, which then arrive at once."""


async def test_twenty_apps_on_five_roles_cause_five_fetches(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The apps are requested before the first fetch has ended."""
    apps, roles = 20, 5
    async with relay(cloud.sts, held=True) as sts:
        yaml = "".join(
            f'  r{n}: {{type: assume_role, endpoint: "{sts.url}", role_arn: "acs:ram::1234567890123456:role/r{n}", '
            f"timeout: {TIMEOUT}}}\n"
            for n in range(roles)
        )
        (config := tmp_path / "signer.yaml").write_text(
            f"{HEAD}credentials:\n{yaml}defaults: {{region: cn-hangzhou}}\napps:\n"
            + "".join(f"  a{n}: {{key_prefix: '', bucket: photos, credentials: r{n % roles}}}\n" for n in range(apps)),
            encoding="utf-8",
        )
        async with signer(session, config, wait_for=LISTENING) as running:
            requests = [asyncio.create_task(running.upload_form(f"a{n % apps}")) for n in range(apps * 10)]
            await sts.wait_for_connections(roles)
            sts.release()
            forms = await asyncio.gather(*requests)
    assert len({form["fields"]["x-oss-credential"].split("/")[0] for form in forms}) == roles
    assert (await cloud.counts())["sts.AssumeRole"] == roles


@pytest.mark.slow
async def test_ten_thousand_requests_without_a_token_cause_one_fetch(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """STS responds only when all clients have sent their requests; those that waited for 3 s by then get 503."""
    async with contextlib.AsyncExitStack() as stack:
        sts = await stack.enter_async_context(relay(cloud.sts, held=True))
        (config := tmp_path / "signer.yaml").write_text(
            f'{HEAD}credentials: {{r: {{type: assume_role, endpoint: "{sts.url}", timeout: {TIMEOUT}}}}}\n'
            "apps: {a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}}\n",
            encoding="utf-8",
        )
        with open_files_limit(CROWD + SPARE_FILES):
            running = await stack.enter_async_context(signer(session, config, wait_for=LISTENING))
            url = f"{running.public}/generate_signature?app_id=a"
            crowd = await stack.enter_async_context(client_crowd(url, CROWD))
        sent = json.loads(await crowd.read_line())
        sts.release()
        received = json.loads(await crowd.read_line())
        calls = (await cloud.counts())["sts.AssumeRole"]
        print(f"{CROWD} requests at once without a token: {calls} AssumeRole; {sent}; {received}")
        assert sum(received["outcomes"].values()) == CROWD
        assert set(received["outcomes"]) <= {"200", "503"}
        assert calls == 1


@pytest.mark.slow
async def test_two_hundred_tokens_that_expire_together_are_refreshed_at_a_limited_pace(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Without a pace, all tokens would be refreshed within 5 s. Each fetch is a connection, which the relay counts."""
    apps = [f"a{n}" for n in range(ROLES)]
    async with (
        local_cloud(session, "--token-seconds", "60") as cloud,
        relay(cloud.sts, held=True) as sts,
    ):
        roles = "".join(
            f'  r{n}: {{type: assume_role, role_arn: "acs:ram::1234567890123456:role/r{n}", '
            f'endpoint: "{sts.url}", min_remaining: 1s, timeout: {TIMEOUT}}}\n'
            for n in range(ROLES)
        )
        (config := tmp_path / "signer.yaml").write_text(
            f"{HEAD}credentials:\n{roles}defaults: {{region: cn-hangzhou, key_prefix: '', bucket: photos, expires: 45s}}\napps:\n"
            + "".join(f"  a{n}: {{credentials: r{n}}}\n" for n in range(ROLES)),
            encoding="utf-8",
        )
        async with signer(session, config, wait_for=LISTENING) as running:
            await sts.wait_for_connections(ROLES)
            sts.release()
            first = await asyncio.gather(*(request_form(running, app) for app in apps))
            async with requesting_forms(running, apps, pause_seconds=0.01) as responses:
                await wait_until(lambda: len(running.log("credential refreshed")) >= 2 * ROLES)
                seen = len(responses)
                await wait_until(lambda: len(responses) >= seen + ROLES)
            fetched: dict[str, list[Entry]] = {}
            for entry in running.log("credential refreshed"):
                fetched.setdefault(entry["role"], []).append(entry)
    ends = [datetime.fromisoformat(entries[0]["expires_at"]) for entries in fetched.values()]
    early = [
        (end - datetime.fromisoformat(entries[1]["time"])).total_seconds()
        for end, entries in zip(ends, fetched.values(), strict=True)
    ]
    busiest = max_in_window(sts.arrivals, PACE_WINDOW_SECONDS)
    print(
        f"{ROLES} tokens that expire within {(max(ends) - min(ends)).total_seconds():.0f} s: at most {busiest} fetches "
        f"in {PACE_WINDOW_SECONDS} s; refreshed {min(early):.1f} to {max(early):.1f} s before their end; "
        f"{len(responses)} requests, {len(failures(responses))} failed"
    )
    assert len(fetched) == ROLES
    assert max(ends) - min(ends) < timedelta(seconds=20)
    assert busiest <= MAX_FETCHES_PER_SECOND * (PACE_WINDOW_SECONDS + PACE_SLACK_SECONDS)
    assert min(early) > 0
    assert not running.log("credential refresh failed")
    assert not failures(first)
    assert not failures(responses)
    assert not {each.key_id for each in first} & {each.key_id for each in responses[-ROLES:]}


def max_in_window(moments: list[float], seconds: float) -> int:
    return max(sum(start <= moment < start + seconds for moment in moments) for start in moments)
