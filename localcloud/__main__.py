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

from localcloud.servers import running
from localcloud.world import Bucket, default_world


def main() -> int:
    parser = argparse.ArgumentParser(prog="localcloud", description="A local Alibaba Cloud: metadata, STS and OSS.")
    parser.add_argument("--host", default="127.0.0.1")
    for name in ("metadata", "sts", "oss"):
        parser.add_argument(f"--{name}-port", type=int, default=0, help="default: a free one")
    parser.add_argument("--data", type=Path, help="keep objects here (default: a temporary directory)")
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="NAME=REGION", help="may be given several times"
    )
    parser.add_argument("--hardened", action="store_true", help="metadata only with a token (HttpTokens=required)")
    parser.add_argument("--token-seconds", type=int, help="how long every issued token lives, whatever was asked")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options))
    return 0


async def _serve(options: argparse.Namespace) -> None:
    world = default_world()
    world.hardened, world.token_seconds = options.hardened, options.token_seconds
    for text in options.bucket:
        name, _, region = text.partition("=")
        world.buckets[name] = Bucket(name, region)
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in its loops
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ports = {"metadata": options.metadata_port, "sts": options.sts_port, "oss": options.oss_port}
    with tempfile.TemporaryDirectory(prefix="localcloud-") as temporary:
        async with running(world, options.data or Path(temporary), options.host, ports) as addresses:
            sys.stdout.write(json.dumps(addresses) + "\n")
            sys.stdout.flush()
            await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
