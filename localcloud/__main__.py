"""`python -m localcloud`: print the addresses as one JSON line, then serve until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import threading
from pathlib import Path

from localcloud.fault_kinds import SERVERS
from localcloud.servers import serve_all
from localcloud.tls import create_context
from localcloud.world import Bucket, default_world

if sys.platform != "win32":
    import resource


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="oss-localcloud", description="ECS metadata, STS, OSS and WeChat on this machine."
    )
    parser.add_argument("--host", default="127.0.0.1")
    for name in SERVERS:
        parser.add_argument(f"--{name}-port", type=int, default=0, help="default: a free port")
    parser.add_argument("--data", type=Path, help="store objects here (default: a temporary directory)")
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="NAME=REGION", help="create a bucket; repeatable"
    )
    parser.add_argument("--hardened", action="store_true", help="require a metadata token (HttpTokens=required)")
    parser.add_argument(
        "--new-account",
        action="store_true",
        help="an account that is new to OSS: plain addresses and default public endpoints of Chinese mainland regions "
        "respond with PublicEndpointForbidden; internal endpoints and custom domains (PUT /-/domains/HOST) serve it",
    )
    parser.add_argument(
        "--public-read",
        action="store_true",
        help="everybody may read and list the objects of all buckets, unlike on OSS, whatever their ACL",
    )
    parser.add_argument(
        "--tls",
        type=Path,
        metavar="CA_FILE",
        help="serve STS, OSS and WeChat over HTTPS, and write the certificate of their authority to this file",
    )
    parser.add_argument("--token-seconds", type=int, help="lifetime of every issued token, not the requested one")
    parser.add_argument(
        "--callback-seconds", type=float, default=5.0, help="time limit of an upload callback (default: 5, as OSS)"
    )
    parser.add_argument(
        "--stop-with-stdin", action="store_true", help="end when stdin ends, as it does with the process that holds it"
    )
    options = parser.parse_args()
    _allow_many_connections()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options))
    return 0


def _allow_many_connections() -> None:
    """Raise the limit of open files to the maximum: the usual 1,024 is only a default."""
    if sys.platform != "win32":
        _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):  # macOS has another limit below this one
            resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


async def _serve(options: argparse.Namespace) -> None:
    world = default_world()
    world.hardened, world.token_seconds = options.hardened, options.token_seconds
    world.public_read = options.public_read
    world.new_account, world.callback_seconds = options.new_account, options.callback_seconds
    for text in options.bucket:
        name, _, region = text.partition("=")
        world.buckets[name] = Bucket(name, region)
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # event loops on Windows have no signal handlers
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ports = {name: getattr(options, f"{name}_port") for name in SERVERS}
    with tempfile.TemporaryDirectory(prefix="localcloud-") as temporary:
        data, parts = options.data or Path(temporary, "objects"), Path(temporary, "parts")
        tls = None if options.tls is None else create_context(options.tls, Path(temporary), options.host)
        async with serve_all(world, data, parts, options.host, ports, tls) as addresses:
            sys.stdout.write(json.dumps(addresses) + "\n")
            sys.stdout.flush()
            if options.stop_with_stdin:
                threading.Thread(
                    target=_wait_for_end_of_stdin, args=(asyncio.get_running_loop(), stop), daemon=True
                ).start()
            await stop.wait()


def _wait_for_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    sys.stdin.read()
    loop.call_soon_threadsafe(stop.set)


def start() -> None:
    """Run as the command oss-localcloud."""
    sys.exit(main())


if __name__ == "__main__":
    start()
