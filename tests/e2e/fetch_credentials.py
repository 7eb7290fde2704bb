"""`python -m tests.e2e.fetch_credentials --config FILE COUNT`: fetches credentials from the sources of a file.

It prints the resources of the process as a JSON line after a fifth of the fetches, and again after all of them.
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

from signer.credentials.keeper_pool import RoleSet
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import Source
from signer.definitions.parser import parse
from signer.environment import Environment
from signer.revision import RolePlanner

_CONCURRENT_FETCHES = 8
"""As many as the signer starts in a second."""


async def main(config: Path, count: int) -> None:
    """Fetch, and print the resources twice."""
    environment = Environment(os.environ)
    sdk = SdkThread()
    plans = RolePlanner(sdk, environment).plans(
        parse({str(config): config.read_text("utf-8")}, environment.read()), RoleSet()
    )
    sources = [plan.source for plan in plans.values()]
    started = time.monotonic()
    try:
        await fetch(sources, count // 5)
        print_resources(count // 5, started)
        await fetch(sources, count - count // 5)
        print_resources(count, started)
    finally:
        sdk.close()


async def fetch(sources: list[Source], count: int) -> None:
    """Fetch from the sources in turn, several at once."""
    numbers = iter(range(count))

    async def keep_fetching() -> None:
        for number in numbers:
            await sources[number % len(sources)].fetch()

    await asyncio.gather(*(keep_fetching() for _ in range(_CONCURRENT_FETCHES)))


def print_resources(fetches: int, started: float) -> None:
    """Print the resources of this process."""
    gc.collect()
    resources = {
        "fetches": fetches,
        "seconds": round(time.monotonic() - started, 1),
        "memory_kib": _resident_kib(),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        # The pools of event loops and of file calls have a limit and do not count.
        "threads": sorted(
            thread.name for thread in threading.enumerate() if not thread.name.startswith(("asyncio_", "file call"))
        ),
        "objects": len(gc.get_objects()),
    }
    print(json.dumps(resources), flush=True)


def _resident_kib() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    asyncio.run(main(options.config, options.count))
