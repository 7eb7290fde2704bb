"""What the signer promises about its credentials when STS is slow, away, or asked by everybody at once.

Figures are printed (`pytest -s`); what is asserted is never a time, but for bounds that mean a hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.crowd import crowd, room_for_open_files
from tests.e2e.steady import Answer, Entry, ask, asking, failures, log_of
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.ports import reserve_port
from tests.harness.relay import relay
from tests.harness.signer import signer
from tests.harness.waiting import DEADLINE_SECONDS, wait_until

HEAD = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
CROWD = 10_000
SPARE_FILES = 200
ROLES = 200
MOST_FETCHES_IN_A_SECOND = 10


def definitions(path: Path, text: str) -> Path:
    config = path / "signer.yaml"
    config.write_text(HEAD + text, encoding="utf-8")
    return config


async def test_ten_thousand_cold_requests_make_one_call(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """STS responses only when all of them are connected to the signer and have asked."""
    async with contextlib.AsyncExitStack() as stack:
        sts = await stack.enter_async_context(relay(cloud.sts, held=True))
        config = definitions(
            tmp_path,
            f'credentials: {{r: {{type: assume_role, endpoint: "{sts.url}", timeout: {DEADLINE_SECONDS:.0f}s}}}}\n'
            "apps: {a: {bucket: photos, region: cn-hangzhou, credentials: r}}\n",
        )
        with room_for_open_files(CROWD + SPARE_FILES):
            running = await stack.enter_async_context(signer(session, config, wait_for="listening"))
            url = f"{running.public}/generate_signature?app_id=a"
            said = await stack.enter_async_context(crowd(url, CROWD))
        asked = json.loads(await said.read_line())
        assert asked["answered"] == 0
        files = Path(f"/proc/{running.process.pid}/fd")
        await wait_until(lambda: len(list(files.iterdir())) >= CROWD)
        sts.release()
        answered = json.loads(await said.read_line())
        calls = (await cloud.counts())["sts.AssumeRole"]
        print(f"{CROWD} requests at once on a cold role: {calls} AssumeRole; connected within {asked}; {answered}")
        assert answered["outcomes"] == {"200": CROWD}
        assert calls == 1


async def test_two_hundred_tokens_that_end_together_are_fetched_at_a_pace(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """All tokens are issued at one moment and would be replaced within 5 s, which the pace does not allow.

    A fetch is a connection, so the relay sees each of them come.
    """
    apps = [f"a{n}" for n in range(ROLES)]
    async with local_cloud(session, "--token-seconds", "40") as cloud, relay(cloud.sts, held=True) as sts:
        roles = "".join(
            f'  r{n}: {{type: assume_role, role_arn: "acs:ram::1234567890123456:role/r{n}", '
            f'endpoint: "{sts.url}", min_remaining: 1s, timeout: {DEADLINE_SECONDS:.0f}s}}\n'
            for n in range(ROLES)
        )
        config = definitions(
            tmp_path,
            f"credentials:\n{roles}defaults: {{region: cn-hangzhou, bucket: photos, expires: 28s}}\napps:\n"
            + "".join(f"  a{n}: {{credentials: r{n}}}\n" for n in range(ROLES)),
        )
        async with signer(session, config, wait_for="listening") as running:
            await sts.wait_for_connections(ROLES)
            sts.release()
            first = await asyncio.gather(*(ask(running, app) for app in apps))
            async with asking(running, apps, pause_seconds=0.01) as responses:
                await wait_until(lambda: sum("credential refreshed" in line for line in running.output) >= 2 * ROLES)
                seen = len(responses)
                await wait_until(lambda: len(responses) >= seen + ROLES)
            fetched: dict[str, list[Entry]] = {}
            for entry in log_of(running, "credential refreshed"):
                fetched.setdefault(entry.members["role"], []).append(entry)
    ends = [datetime.fromisoformat(entries[0].members["expires_at"]) for entries in fetched.values()]
    early = [(end - entries[1].time).total_seconds() for end, entries in zip(ends, fetched.values(), strict=True)]
    most = max_in_a_second(sts.arrivals)
    print(
        f"{ROLES} tokens that end within {(max(ends) - min(ends)).total_seconds():.0f} s: at most {most} fetches in a "
        f"second; replaced {min(early):.1f} to {max(early):.1f} s before their end; "
        f"{len(responses)} requests, {len(failures(responses))} failed"
    )
    assert len(fetched) == ROLES
    assert max(ends) - min(ends) < timedelta(seconds=10)
    assert most <= MOST_FETCHES_IN_A_SECOND
    assert min(early) > 0
    assert not log_of(running, "credential refresh failed")
    assert not failures(first)
    assert not failures(responses)
    assert not {each.key_id for each in first} & {each.key_id for each in responses[-ROLES:]}


def max_in_a_second(moments: list[float]) -> int:
    return max(sum(start <= moment < start + 1 for moment in moments) for start in moments)


Trouble = Callable[[Cloud], Awaitable[None]]


async def hang(cloud: Cloud) -> None:
    await cloud.set_faults(sts={"kind": "hang"})


async def answer_502(cloud: Cloud) -> None:
    await cloud.set_faults(sts={"kind": "status", "status": 502})


async def die(cloud: Cloud) -> None:
    os.kill(cloud.process.pid, signal.SIGKILL)


@pytest.mark.parametrize("trouble", [die, hang, answer_502])
async def test_a_token_is_used_to_its_end_while_sts_is_away(
    trouble: Trouble, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """No request fails while the token covers `min_remaining`; then all get 503; then STS is back.

    A call that the local cloud held up is dropped when it hangs no longer; where STS forgets it without a word, the
    role has to wait for its `timeout` besides.
    """
    expires, min_remaining = timedelta(seconds=5), timedelta(seconds=2)
    async with contextlib.AsyncExitStack() as stack:
        lives = ("--token-seconds", "8", "--sts-port", str(reserve_port()))
        cloud = await stack.enter_async_context(local_cloud(session, *lives))
        config = definitions(
            tmp_path,
            f'credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}", min_remaining: 2s, timeout: 2s}}}}\n'
            "apps: {a: {bucket: photos, region: cn-hangzhou, credentials: r, expires: 5s}}\n",
        )
        running = await stack.enter_async_context(signer(session, config))
        async with asking(running, ["a"]) as responses:
            await wait_until(lambda: bool(responses))
            await trouble(cloud)
            await wait_until(lambda: responses[-1].status == 503)
            last = log_of(running, "credential refreshed")[-1]
            # It stays away a little longer, so that the waits between attempts have grown as far as they do.
            failed = len(log_of(running, "credential refresh failed"))
            await wait_until(lambda: len(log_of(running, "credential refresh failed")) > failed)
            away = list(responses)
            if trouble is die:
                await stack.enter_async_context(local_cloud(session, *lives))
            else:
                await cloud.set_faults()
            back = datetime.now(UTC)
            await wait_until(lambda: responses[-1].status == 201)
            recovered = responses[-1].answered_at
    end = datetime.fromisoformat(last.members["expires_at"])
    print(f"{trouble.__name__}: {report(away, end)}; responses again {(recovered - back).total_seconds():.1f} s after")
    with_it = [each for each in away if each.key_id == good_key(away)]
    for each in away:
        if each.answered_at <= end - min_remaining:
            assert each.status == 201, each
        if each.asked_at > end - min_remaining:
            assert (each.status, each.code) == (503, "credentials_unavailable"), each
            assert int(each.retry_after or "0") >= 1
    short = [each for each in with_it if each.asked_at > end - expires]
    assert short
    assert all(each.expires_at == end for each in short)
    assert all(each.expires_at is not None and each.expires_at <= end for each in with_it)
    assert not log_of(running, "internal error")


def good_key(responses: list[Answer]) -> str | None:
    """The AccessKey that signed the last form."""
    return [each.key_id for each in responses if each.status == 201][-1]


def report(responses: list[Answer], end: datetime) -> str:
    good = [each for each in responses if each.status == 201]
    bad = failures(responses)
    return (
        f"{len(good)} forms, the last {(end - good[-1].answered_at).total_seconds():.2f} s before its token's end, "
        f"then {len(bad)} times 503"
    )


@pytest.mark.parametrize(("seconds_to_the_end", "accepted"), [(2, True), (-2, False)])
async def test_a_form_ends_with_its_token_and_oss_agrees(
    seconds_to_the_end: int, accepted: bool, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The app's `expires` is 15 minutes, the token lives for 10; OSS's clock is set around its end."""
    async with local_cloud(session, "--token-seconds", "600") as cloud:
        url = await cloud.create_bucket("photos")
        config = definitions(
            tmp_path,
            f'credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}\n'
            f'apps: {{a: {{bucket: photos, region: cn-hangzhou, domain: "{url}", credentials: r, expires: 15m}}}}\n',
        )
        async with signer(session, config) as running:
            form = await running.upload_form("a", {"filename": "a.jpg"})
            end = datetime.fromisoformat(log_of(running, "credential refreshed")[-1].members["expires_at"])
            assert datetime.fromisoformat(form["expires_at"]) == end
            offset = (end - datetime.now(UTC)).total_seconds() - seconds_to_the_end
            await cloud.set_faults(oss={"kind": "clock", "offset_seconds": offset})
            status, body, _ = await post_object(session, url, form["fields"], b"x")
            assert (status == 200) is accepted, body
            assert accepted or "SecurityTokenExpired" in body or "Policy expired" in body, body


@pytest.mark.parametrize("place", ["secret file", "environment file"])
async def test_a_rotated_access_key_counts_without_a_restart(
    place: str, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The old secret is refused, then the new one is written; then a mistyped one, which is told and mended."""
    file = tmp_path / "secret"
    line, reference = ("{}\n", f"${{file:{file}}}") if place == "secret file" else ("SECRET={}\n", "${SECRET}")

    def write(secret: str) -> None:
        """As deployment tools do: a new file in the place of the old one."""
        (tmp_path / "new").write_text(line.format(secret), encoding="utf-8")
        (tmp_path / "new").replace(file)

    write("local-secret")
    environ = {} if place == "secret file" else {"OSS_SIGNER_ENV_FILE": str(file)}
    async with local_cloud(session, "--token-seconds", "8") as cloud:
        config = definitions(
            tmp_path,
            f'credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}", min_remaining: 1s, '
            f"access_key_secret: '{reference}'}}}}\n"
            "apps: {a: {bucket: photos, region: cn-hangzhou, credentials: r, expires: 3s}}\n",
        )
        async with signer(session, config, environ=environ) as running, asking(running, ["a"]) as responses:
            async with session.put(
                f"{cloud.oss}/-/access-keys/LTAI-local", json={"secret": "rotated-secret", "enabled": True}
            ) as response:
                assert response.status == 200, await response.text()
            await wait_until(lambda: bool(log_of(running, "credential refresh failed")))
            write("rotated-secret")
            await wait_until(lambda: len(log_of(running, "credential refreshed")) >= 2)
            refused = len(log_of(running, "credential refresh failed"))
            write("mistyped-secret")
            await wait_until(lambda: len(log_of(running, "credential refresh failed")) > refused)
            complaint = log_of(running, "credential refresh failed")[-1]
            write("rotated-secret")
            await wait_until(lambda: len(log_of(running, "credential refreshed")) >= 3)
            output = "".join(running.output)
            keys = {each.key_id for each in responses}
    print(
        f"{place}: {len(responses)} requests, {len(failures(responses))} failed; {complaint.level}: {complaint.members['error']}"
    )
    assert not failures(responses)
    assert len(keys) >= 2
    assert complaint.level == "error"
    assert "the AccessKey was changed and the new one fails" in complaint.members["error"]
    assert "-secret" not in output


@pytest.mark.parametrize("death", ["refuses", "hangs"])
async def test_one_dead_role_holds_up_no_other(
    death: str, cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """From a cold start; where its STS hangs, the dead role is in its first attempt all the time."""
    count = 20
    with socket.create_server(("127.0.0.1", 0)) as dead:
        port = dead.getsockname()[1]
        if death == "refuses":
            dead.close()
        roles = "".join(
            f'  r{n}: {{type: assume_role, role_arn: "acs:ram::1234567890123456:role/r{n}", '
            f'endpoint: "{cloud.sts if n else f"http://127.0.0.1:{port}"}", timeout: {DEADLINE_SECONDS:.0f}s}}\n'
            for n in range(count)
        )
        config = definitions(
            tmp_path,
            f"credentials:\n{roles}defaults: {{region: cn-hangzhou, bucket: photos}}\napps:\n"
            + "".join(f"  a{n}: {{credentials: r{n}}}\n" for n in range(count)),
        )
        async with signer(session, config, wait_for="listening") as running:
            asked_at = datetime.now(UTC)
            async with asyncio.timeout(DEADLINE_SECONDS / 2):
                responses = await asyncio.gather(*(ask(running, f"a{n}") for n in range(1, count)))
            took = (max(each.answered_at for each in responses) - asked_at).total_seconds()
            print(f"one of {count} roles {death}: the other {count - 1} had all signed {took:.2f} s after the start")
            assert not failures(responses)
            async with session.get(f"{running.admin}/readyz") as response:
                ready = await response.json()
                assert response.status == 503
            assert ready["unusable_roles"] == ["r0"]
            assert [role["role"] for role in ready["roles"] if not role["usable"]] == ["r0"]
