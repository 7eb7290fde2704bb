"""Forms while STS is away or a role has no token, and forms at the end of a token's lifetime.

Figures are printed with `pytest -s`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.client_load import FormResponse, failures, request_form, requesting_forms
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.ports import reserve_port
from tests.harness.signer import LISTENING, signer
from tests.harness.waiting import DEADLINE_SECONDS, wait_until

HEAD = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'

Outage = Callable[[Cloud], Awaitable[None]]


async def hang(cloud: Cloud) -> None:
    await cloud.set_faults(sts={"kind": "hang"})


async def respond_502(cloud: Cloud) -> None:
    await cloud.set_faults(sts={"kind": "status", "status": 502})


async def die(cloud: Cloud) -> None:
    cloud.process.send_signal(signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("outage", [die, hang, respond_502])
async def test_a_token_is_used_until_min_remaining_while_sts_is_away(
    outage: Outage, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Then every request gets 503, until STS is back."""
    expires, min_remaining = timedelta(seconds=5), timedelta(seconds=2)
    arguments = ("--token-seconds", "8", "--sts-port", str(reserve_port()))
    async with contextlib.AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(local_cloud(session, *arguments))
        (config := tmp_path / "signer.yaml").write_text(
            f'{HEAD}credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}", min_remaining: 2s, timeout: 2s}}}}\n'
            "apps: {a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r, expires: 5s}}\n",
            encoding="utf-8",
        )
        running = await stack.enter_async_context(signer(session, config))
        async with requesting_forms(running, ["a"]) as responses:
            await wait_until(lambda: any(each.status == 201 for each in responses))
            await outage(cloud)
            await wait_until(lambda: responses[-1].status == 503)
            last = running.log("credential refreshed")[-1]
            # A further attempt has to fail, so that the waits between attempts have grown.
            failed = len(running.log("credential refresh failed"))
            await wait_until(lambda: len(running.log("credential refresh failed")) > failed)
            during = list(responses)
            if outage is die:
                await stack.enter_async_context(local_cloud(session, *arguments))
            else:
                await cloud.set_faults()
            ended_at = datetime.now(UTC)
            await wait_until(lambda: responses[-1].status == 201)
            recovered_at = responses[-1].received_at
    end = datetime.fromisoformat(last["expires_at"])
    seconds = (recovered_at - ended_at).total_seconds()
    print(f"{outage.__name__}: {summary(during, end)}; the first form {seconds:.1f} s after the outage")
    signed = [each for each in during if each.key_id == last_key(during)]
    for each in during:
        if each.requested_at < signed[0].requested_at:
            continue
        if each.received_at <= end - min_remaining:
            assert each.status == 201, each
        if each.requested_at > end - min_remaining:
            assert (each.status, each.code) == (503, "credentials_unavailable"), each
            assert int(each.retry_after or "0") >= 1
    shortened = [each for each in signed if each.requested_at > end - expires]
    assert shortened
    assert all(each.expires_at == end for each in shortened)
    assert all(each.expires_at is not None and each.expires_at <= end for each in signed)
    assert not running.log("internal error")


def last_key(responses: list[FormResponse]) -> str | None:
    """Return the AccessKey id that signed the last form."""
    return [each.key_id for each in responses if each.status == 201][-1]


def summary(responses: list[FormResponse], end: datetime) -> str:
    forms = [each for each in responses if each.status == 201]
    return (
        f"{len(forms)} forms, the last {(end - forms[-1].received_at).total_seconds():.2f} s before its token's end, "
        f"then {len(failures(responses))} times 503"
    )


@pytest.mark.parametrize("outage", ["refused", "hanging"])
async def test_a_role_without_a_token_does_not_delay_other_roles(
    outage: str, cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """At the start; where its STS hangs, the first attempt of the role lasts throughout the test."""
    count = 20
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1] if outage == 'hanging' else reserve_port()}"
        roles = "".join(
            f'  r{n}: {{type: assume_role, role_arn: "acs:ram::1234567890123456:role/r{n}", '
            f'endpoint: "{cloud.sts if n else endpoint}", timeout: 600s}}\n'
            for n in range(count)
        )
        (config := tmp_path / "signer.yaml").write_text(
            f"{HEAD}credentials:\n{roles}defaults: {{region: cn-hangzhou, key_prefix: '', bucket: photos}}\napps:\n"
            + "".join(f"  a{n}: {{credentials: r{n}}}\n" for n in range(count)),
            encoding="utf-8",
        )
        async with signer(session, config, wait_for=LISTENING) as running:
            async with asyncio.timeout(DEADLINE_SECONDS):
                responses = await asyncio.gather(*(request_form(running, f"a{n}") for n in range(1, count)))
            assert not failures(responses)
            status, body = await running.readiness()
            assert (status, body["unusable_roles"]) == (503, ["r0"])
            assert [role["role"] for role in body["roles"] if not role["usable"]] == ["r0"]


@pytest.mark.parametrize(("seconds_to_the_end", "accepted"), [(60, True), (-60, False)])
async def test_a_form_ends_with_its_token_and_oss_agrees(
    seconds_to_the_end: int, accepted: bool, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The app's `expires` is 15 minutes, and the token lives for 10; OSS's clock is set around its end."""
    async with local_cloud(session, "--token-seconds", "600") as cloud:
        url = await cloud.create_bucket("photos")
        (config := tmp_path / "signer.yaml").write_text(
            f'{HEAD}credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}\n'
            f'apps: {{a: {{key_prefix: "", bucket: photos, region: cn-hangzhou, domain: "{url}", credentials: r, expires: 15m}}}}\n',
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            form = await running.upload_form("a", {"filename": "a.jpg"})
            end = datetime.fromisoformat(running.log("credential refreshed")[-1]["expires_at"])
            assert datetime.fromisoformat(form["expires_at"]) == end
            offset = (end - datetime.now(UTC)).total_seconds() - seconds_to_the_end
            await cloud.set_faults(oss={"kind": "clock", "offset_seconds": offset})
            status, body, _ = await post_object(session, url, form["fields"], b"x")
            assert (status == 200) is accepted, body
            assert accepted or "SecurityTokenExpired" in body or "Policy expired" in body, body
