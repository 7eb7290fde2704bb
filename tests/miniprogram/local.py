"""The local cloud as a process, with all its addresses: WeChat's too."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

from tests.e2e.running import ROOT, START_SECONDS


@contextlib.asynccontextmanager
async def local_addresses() -> AsyncIterator[dict[str, str]]:
    """`metadata`, `sts`, `oss` and `wechat`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "localcloud", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            addresses: dict[str, str] = json.loads(await process.stdout.readline())
        yield addresses
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
