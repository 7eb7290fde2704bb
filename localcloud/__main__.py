"""`python -m localcloud`: prints one JSON line with the addresses, then serves until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from pathlib import Path

from localcloud.fault_kinds import SERVERS
from localcloud.servers import running
from localcloud.world import Bucket, default_world

if sys.platform != "win32":
    import resource


def main() -> int:
    parser = argparse.ArgumentParser(prog="localcloud", description="Metadata, STS, OSS and WeChat, local.")
    parser.add_argument("--host", default="127.0.0.1")
    for name in SERVERS:
        parser.add_argument(f"--{name}-port", type=int, default=0, help="default: a free one")
    parser.add_argument("--data", type=Path, help="keep objects here (default: a temporary directory)")
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="NAME=REGION", help="may be given several times"
    )
    parser.add_argument("--hardened", action="store_true", help="metadata only with a token (HttpTokens=required)")
    parser.add_argument("--token-seconds", type=int, help="how long every issued token lives, whatever was asked")
    parser.add_argument(
        "--callback-seconds", type=float, default=5.0, help="how long an upload callback may take (default: 5, as OSS)"
    )
    options = parser.parse_args()
    _allow_many_connections()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options))
    return 0


def _allow_many_connections() -> None:
    """As many open files as the system lets us have: most start processes with 1,024."""
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):  # macOS has a limit of its own behind this one
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(options: argparse.Namespace) -> None:
    world = default_world()
    world.hardened, world.token_seconds = options.hardened, options.token_seconds
    world.callback_seconds = options.callback_seconds
    for text in options.bucket:
        name, _, region = text.partition("=")
        world.buckets[name] = Bucket(name, region)
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in its loops
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ports = {name: getattr(options, f"{name}_port") for name in SERVERS}
    with tempfile.TemporaryDirectory(prefix="localcloud-") as temporary:
        async with running(world, options.data or Path(temporary), options.host, ports) as addresses:
            sys.stdout.write(json.dumps(addresses) + "\n")
            sys.stdout.flush()
            await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
