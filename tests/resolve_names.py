"""Resolves names on one event loop and prints the results as JSON; test_dns_resolver runs it in a namespace."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from signer.dns_resolver import DnsResolver
from tests.harness.dns_server import dns_server

RESOLV_CONF, HOSTS = Path("/etc/resolv.conf"), Path("/etc/hosts")


async def main() -> None:
    resolver = DnsResolver()
    found: dict[str, list[str]] = {}

    async def resolve(name: str) -> None:
        try:
            found[name] = sorted(result["host"] for result in await resolver.resolve(name, 80))
        except OSError as error:
            found[name] = [type(error).__name__]

    addresses = {"redis.svc.test": "192.0.2.1", "v6.test": "2001:db8::1"}
    async with dns_server(addresses) as first, dns_server({"new.test": "192.0.2.2"}, host="127.0.0.2"):
        silent = asyncio.create_task(resolve("silent.dead.test"))
        await first.wait_for("silent.dead.test")
        for name in ("www.alive.test", "redis", "v6.test", "localhost", "127.0.0.1", "none.test"):
            await resolve(name)
        assert not silent.done()
        HOSTS.write_text(f"{HOSTS.read_text()}192.0.2.3 added\n")
        await resolve("added")
        RESOLV_CONF.write_text("nameserver 127.0.0.2\n")
        await resolve("new.test")
        assert not silent.done()
        await resolver.close()
        await silent
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        uvloop.run(main())
    else:
        asyncio.run(main())
