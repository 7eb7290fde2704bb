"""`python -m tests.e2e.refreshing --config FILE COUNT`: fetches so many credentials through the signer's own sources.

Prints one JSON line with what the process held after a fifth of them, and one after all.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import threading
import time
from pathlib import Path

from signer.credentials.role_set import RoleSet
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import Source
from signer.definitions.parser import parse
from signer.environment import Environment
from signer.revision import RolePlanner

_AT_ONCE = 8
"""As many as the signer itself starts in a second."""


async def main(config: Path, count: int) -> None:
    environment = Environment(os.environ)
    sdk = SdkThread()
    plans = RolePlanner(sdk, environment).plans(
        parse({str(config): config.read_text("utf-8")}, environment.read()), RoleSet()
    )
    sources = [plan.source for plan in plans.values()]
    started = time.monotonic()
    try:
        await fetch(sources, count // 5)
        tell(count // 5, started)
        await fetch(sources, count - count // 5)
        tell(count, started)
    finally:
        sdk.close()


async def fetch(sources: list[Source], count: int) -> None:
    """Takes the sources in turn, several at once."""
    numbers = iter(range(count))

    async def go_on() -> None:
        for number in numbers:
            await sources[number % len(sources)].fetch()

    await asyncio.gather(*(go_on() for _ in range(_AT_ONCE)))


def tell(fetches: int, started: float) -> None:
    gc.collect()
    held = {
        "fetches": fetches,
        "seconds": round(time.monotonic() - started, 1),
        "memory_kib": _resident_kib(),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        # Not those of the loops' own pools, in which files are read: they have a limit.
        "threads": sorted(thread.name for thread in threading.enumerate() if "asyncio_" not in thread.name),
        "objects": len(gc.get_objects()),
    }
    print(json.dumps(held), flush=True)


def _resident_kib() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    asyncio.run(main(options.config, options.count))
