"""The local cloud as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

ACCESS_KEY_ID = "LTAI-local"
ACCESS_KEY_SECRET = "local-secret"  # noqa: S105
ROLE_ARN = "acs:ram::1234567890123456:role/oss-upload"
"""The AccessKey and the role that the local cloud has from the start."""

_START_SECONDS = 20.0
_PROJECT = Path(__file__).resolve().parents[2]


class CannotStart(Exception):
    """The demo cannot start; the text says why."""


@dataclass(frozen=True, slots=True)
class LocalCloud:
    """The URLs of the local cloud's servers."""

    metadata: str
    sts: str
    oss: str


@contextlib.asynccontextmanager
async def local_cloud(host: str, data: Path | None) -> AsyncIterator[LocalCloud]:
    """Run the local cloud during the block.

    Args:
        host: the address that its servers listen on.
        data: a directory for the objects; None keeps them in a temporary one.

    Raises:
        CannotStart: it did not print its addresses in time.
    """
    arguments = ["-m", "localcloud", "--host", host, *(["--data", str(data)] if data is not None else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, cwd=_PROJECT, start_new_session=True
    )
    assert process.stdout is not None
    try:
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await process.stdout.readline()
            addresses = json.loads(line)
        except (TimeoutError, ValueError):
            raise CannotStart("the local cloud did not start; run python -m localcloud to see why") from None
        yield LocalCloud(addresses["metadata"], addresses["sts"], addresses["oss"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
