"""The local cloud as a process of its own, and its faults."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

ACCESS_KEY_ID = "LTAI-local"
ACCESS_KEY_SECRET = "local-secret"  # noqa: S105
ROLE_ARN = "acs:ram::1234567890123456:role/oss-upload"
"""The AccessKey and the role that the local cloud has from the start."""

_START_SECONDS = 20.0
_NUMBER_MEMBERS = {"status": "status", "clock": "offset_seconds"}
"""The member that a fault's number belongs to; it is `seconds` for all other kinds."""
_PROJECT = Path(__file__).resolve().parents[2]


class CannotStart(Exception):
    """The demo cannot start; the text gives the reason."""


@dataclass(frozen=True, slots=True)
class LocalCloud:
    """The URLs of the local cloud's servers."""

    metadata: str
    sts: str
    oss: str


@contextlib.asynccontextmanager
async def local_cloud(host: str, oss_port: int, data: Path | None) -> AsyncIterator[LocalCloud]:
    """Run the local cloud during the block, on an address; without a data directory objects live in a temporary one.

    It also ends with this process, even if that is killed.
    """
    arguments = ["-m", "localcloud", "--host", host, "--oss-port", str(oss_port), "--stop-with-stdin", "--public-read"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        *(["--data", str(data)] if data is not None else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_PROJECT,
        start_new_session=True,
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


async def set_faults(session: aiohttp.ClientSession, cloud: LocalCloud, texts: list[str]) -> None:
    """Replace the faults of a running local cloud by those of texts like `sts:hang` and `sts:latency=3`."""
    faults: dict[str, dict[str, Any]] = {}
    for text in texts:
        server, _, rest = text.partition(":")
        kind, _, number = rest.partition("=")
        member = {_NUMBER_MEMBERS.get(kind, "seconds"): _number(text, number)} if number else {}
        faults[server] = {"kind": kind, **member}
    async with session.put(f"{cloud.oss}/-/faults", json=faults) as response:
        if response.status != 200:
            raise CannotStart(f"--fault {' '.join(texts)}: {(await response.json())['error']}")


def _number(text: str, number: str) -> float:
    try:
        return float(number) if "." in number else int(number)
    except ValueError:
        raise CannotStart(f"--fault {text}: {number} is not a number") from None
