"""Prints a form that is signed by the instance's role; test_credential_sources runs it in a network namespace."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.harness.local_cloud import local_cloud  # noqa: E402
from tests.harness.signer import signer  # noqa: E402


async def main() -> None:
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session, "--host", "100.100.100.200", "--metadata-port", "80"),
    ):
        with tempfile.TemporaryDirectory() as directory:
            config = Path(directory) / "signer.yaml"
            config.write_text(
                'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
                "credentials: {r: {type: ecs_ram_role}}\n"
                "apps: {a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}}\n",
                encoding="utf-8",
            )
            async with signer(session, config) as running:
                print(json.dumps(await running.upload_form("a")))


if __name__ == "__main__":
    asyncio.run(main())
