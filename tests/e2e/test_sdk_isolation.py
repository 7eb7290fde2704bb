"""Alibaba's SDKs do not block the event loop, start threads, print, or keep memory, files or objects.

Figures are printed with `pytest -s`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import urlsafe_b64encode
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.processes import launch, run
from tests.harness.signer import LOCAL_ENVIRON, Signer, entries, signer
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

REFRESHES = int(os.environ.get("REFRESHES", "2000"))
"""A multiple of 25, so that each of the five sources is used equally often in both parts."""
MAX_GROWTH_KIB = 4096
MAX_NEW_OBJECTS = 200
"""Far less than one for each fetch."""
MAX_CLOSING_FILES = 5
"""Connections of the last fetches may still be closing."""
CLIENTS = 16
FETCHED, FAILED = "credential refreshed", "credential refresh failed"
FETCH_CALLS = ("sts.AssumeRole", "sts.AssumeRoleWithOIDC", "metadata.credentials")
FAULTS: list[dict[str, Any]] = [
    {"kind": "hang"},
    {"kind": "reset"},
    {"kind": "status", "status": 502},
    {"kind": "throttling"},
    {"kind": "malformed"},
    {"kind": "truncated"},
    {"kind": "expired"},
]


def write_definitions(
    path: Path, cloud: Cloud, *, assumed: int, instance: int, expires: str, key: str = "", **others: str
) -> Path:
    """Write definitions with one app for each role.

    Args:
        assumed: The number of assumed roles, which are named s0, s1 ...
        instance: The number of roles of the instance, which are named m0, m1 ...
        key: Members that are added to each assumed role.
        others: Further roles.
    """
    roles = (
        others
        | {
            f"s{n}": f'type: assume_role, role_arn: "acs:ram::1234567890123456:role/s{n}", endpoint: "{cloud.sts}"{key}'
            for n in range(assumed)
        }
        | {
            # Their timeouts differ, because equal roles share one token.
            f"m{n}": f'type: ecs_ram_role, endpoint: "{cloud.metadata}", timeout: {30 + n}s'
            for n in range(instance)
        }
    )
    lines = [
        "version: 1",
        'server: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}',
        "credentials:",
        *(f"  {name}: {{{role}, min_remaining: 1s}}" for name, role in roles.items()),
        f"defaults: {{region: cn-hangzhou, key_prefix: '', bucket: photos, expires: {expires}}}",
        "apps:",
        *(f"  {name}: {{credentials: {name}}}" for name in roles),
    ]
    config = path / "signer.yaml"
    config.write_text("\n".join(lines), encoding="utf-8")
    return config


async def test_no_fetch_blocks_the_event_loop(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Calls take 3 s and 1.5 s, 20 roles are refreshed again and again, and 16 clients send requests without a pause."""
    async with local_cloud(session, "--token-seconds", "10") as cloud:
        await cloud.set_faults(sts={"kind": "latency", "seconds": 3}, metadata={"kind": "latency", "seconds": 1.5})
        config = write_definitions(tmp_path, cloud, assumed=18, instance=2, expires="2s")
        command = (sys.executable, "-m", "tests.e2e.instrumented_signer", "--config", config)
        async with launch(*command, environ=LOCAL_ENVIRON) as process:
            [listening, *_] = await wait_until(lambda: list(entries(process.errors)))
            statuses: Counter[int] = Counter()
            ended = asyncio.Event()

            async def client(number: int) -> None:
                url = f"{listening['public']}/generate_signature"
                app = f"s{number % 16}" if number % 8 else "m0"
                while not ended.is_set():
                    async with session.get(url, params={"app_id": app}) as response:
                        statuses[response.status] += 1
                        await response.read()

            async def end_after_forty_calls() -> None:
                async def forty_calls() -> bool:
                    return (await cloud.counts()).get("sts.AssumeRole", 0) >= 40

                await wait_until(forty_calls)
                ended.set()

            await asyncio.gather(end_after_forty_calls(), *(client(number) for number in range(CLIENTS)))
            calls = await cloud.counts()
            await process.stop()
            record = json.loads(await process.read_line())
    print(
        f"{record['callbacks']} callbacks during {calls['sts.AssumeRole']} AssumeRole and "
        f"{calls['metadata.credentials']} metadata fetches: the longest {record['longest_seconds'] * 1000:.0f} "
        f"ms; {statuses}"
    )
    assert record["callbacks"] > sum(statuses.values())
    assert record["blocking"] == []
    assert statuses[200]
    assert not [name for name in record["threads"] if "scheduler" in name.lower()], record["threads"]


async def test_fetches_start_no_threads(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """The event loop's own pool starts some threads, at most 32 on a large machine; 80 fetches would start 80."""
    async with local_cloud(session, "--token-seconds", "3") as cloud:
        config = write_definitions(tmp_path, cloud, assumed=5, instance=2, expires="1s", key=", source: m0")
        command = (sys.executable, "-m", "tests.e2e.instrumented_signer", "--config", config)
        async with launch(*command, environ=LOCAL_ENVIRON) as process:
            await wait_until(lambda: sum(entry["message"] == FETCHED for entry in entries(process.errors)) >= 80)
            await process.stop()
            record = json.loads(await process.read_line())
    print(record["threads"])
    assert len(record["threads"]) < 40, record["threads"]


async def wait_for_both_kinds(running: Signer, message: str) -> None:
    """Return once a role of either kind has logged a message since the call."""
    before = len(running.output)
    await wait_until(lambda: len({entry["role"][0] for entry in running.log(message, since=before)}) == 2)


async def test_only_the_signers_log_is_written(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """During successful fetches and each kind of failed ones, from STS and from the metadata service."""
    async with local_cloud(session, "--token-seconds", "3") as cloud:
        config = write_definitions(tmp_path, cloud, assumed=4, instance=4, expires="1s")
        config.write_text(config.read_text("utf-8").replace("timeout: 30s", "timeout: 1s"), encoding="utf-8")
        async with signer(session, config) as running:
            for fault in FAULTS:
                await cloud.set_faults(sts=fault, metadata=fault)
                await wait_for_both_kinds(running, FAILED)
                await cloud.set_faults()
                await wait_for_both_kinds(running, FETCHED)
            await running.stop()
    lines = [json.loads(line) for line in running.output]
    print(f"{len(lines)} lines on stderr over {len(FAULTS)} kinds of fault")
    assert running.process.output == []
    for line in lines:
        assert {"time", "level", "logger", "message"} <= set(line), line
        assert line["logger"].startswith("oss_signer"), line
    assert LOCAL_ENVIRON["OSS_ACCESS_KEY_SECRET"] not in "".join(running.output)


def write_oidc_token(path: Path) -> None:
    """Write a pod's OIDC token; the local STS does not verify its signature."""
    claims = {"iss": "https://oidc", "aud": "sts.aliyuncs.com", "sub": "system:serviceaccount:a:b", "exp": 2**32}
    path.write_text("e30." + urlsafe_b64encode(json.dumps(claims).encode()).decode() + ".e30", encoding="utf-8")


def write_cli_profile(home: Path) -> None:
    """Write the AccessKey of Alibaba's command-line tool, for the SDK's default chain."""
    profile = {"name": "default", "mode": "AK", "access_key_id": "LTAI-local", "access_key_secret": "local-secret"}
    (home / ".aliyun").mkdir()
    text = json.dumps({"current": "default", "profiles": [profile]})
    (home / ".aliyun/config.json").write_text(text, encoding="utf-8")


async def test_fetches_keep_no_memory_files_or_threads(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Compare the process after a fifth of the fetches and after all of them, from every kind of source."""
    write_oidc_token(tmp_path / "oidc-token")
    write_cli_profile(tmp_path)
    pod = (
        "type: oidc, role_arn: acs:ram::1234567890123456:role/pod, "
        f"provider_arn: acs:ram::1234567890123456:oidc-provider/ack, token_file: {tmp_path}/oidc-token"
    )
    async with local_cloud(session) as cloud:
        config = write_definitions(
            *(tmp_path, cloud),
            assumed=2,
            instance=1,
            expires="15m",
            pod=f'{pod}, endpoint: "{cloud.sts}"',
            chain="type: default",
        )
        command = (sys.executable, "-m", "tests.e2e.fetch_credentials", "--config", config, REFRESHES)
        ended = await run(*command, environ={**LOCAL_ENVIRON, "HOME": str(tmp_path)})
        calls = await cloud.counts()
    assert ended.status == 0, ended.err
    fifth, all_fetches = (json.loads(line) for line in ended.out.splitlines())
    growth = all_fetches["memory_kib"] - fifth["memory_kib"]
    print(f"after {fifth} and after {all_fetches}: {growth} KiB more; {calls}")
    assert all_fetches["fetches"] == REFRESHES
    assert sum(calls[name] for name in FETCH_CALLS) == REFRESHES * 4 // 5
    assert growth <= MAX_GROWTH_KIB
    assert all_fetches["objects"] <= fifth["objects"] + MAX_NEW_OBJECTS
    assert all_fetches["files"] <= fifth["files"] + MAX_CLOSING_FILES
    assert all_fetches["threads"] == fifth["threads"]
