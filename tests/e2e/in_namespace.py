"""Prints forms that are signed by the instance's role; test_credential_sources runs it in a network namespace."""

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

DEFINITIONS = (
    'version: 1\nserver: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}\ncredentials: {{r: {{type: {kind}}}}}\n'
    "apps: {{a: {{key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}}}}\n"
)


async def main() -> None:
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session, "--host", "100.100.100.200", "--metadata-port", "80") as cloud,
    ):
        with tempfile.TemporaryDirectory() as directory:
            config = Path(directory) / "signer.yaml"
            environ = {"HOME": directory}
            forms = []
            for kind in ("ecs_ram_role", "default"):
                config.write_text(DEFINITIONS.format(kind=kind), encoding="utf-8")
                async with signer(session, config, environ=environ) as running:
                    forms.append(await running.upload_form("a"))
            await cloud.set_metadata_token(404)
            before = await cloud.counts()
            async with signer(session, config, environ=environ) as running:
                status = await running.upload_status("a")
            calls = (await cloud.counts())["metadata.role"] - before["metadata.role"]
    print(json.dumps({"forms": forms, "status_without_tokens": status, "calls_without_tokens": calls}))


if __name__ == "__main__":
    asyncio.run(main())
