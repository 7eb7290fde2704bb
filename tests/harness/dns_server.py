"""A DNS server for A and AAAA records, and a namespace of the system in which programs use it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from tests.harness.processes import Completed, run
from tests.harness.programs import require_program
from tests.harness.waiting import wait_until

_PORT = 53
_HEADER_BYTES = 12
_AAAA = 28
_ONE_ANSWER, _NO_SUCH_NAME = 1, 3
_RESPONSE = 0x8180
_NAME_OF_THE_QUESTION = b"\xc0\x0c"
_TTL_SECONDS = 1

# The servers of the tests have names in one namespace of mounts and networks, so port 53 is free there.
_ENTER = """
set -e
ip link set lo up
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/hosts" /etc/hosts
exec "$0" "${@:2}"
"""


class DnsServer(asyncio.DatagramProtocol):
    """Answers from `addresses`, and does not respond to names that end with `.dead.test`."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = dict(addresses)
        """By name; names that end with `.alive.test` have the address 127.0.0.1."""
        self.queries: Counter[str] = Counter()
        """By name."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        labels, offset = [], _HEADER_BYTES
        while data[offset]:
            labels.append(data[offset + 1 : offset + 1 + data[offset]].decode())
            offset += data[offset] + 1
        name = ".".join(labels).lower()
        question = data[_HEADER_BYTES : offset + 5]
        self.queries[name] += 1
        if not name.endswith(".dead.test"):
            [kind] = struct.unpack(">H", data[offset + 1 : offset + 3])
            self._transport.sendto(data[:2] + self._response(name, kind, question), address)

    def _response(self, name: str, kind: int, question: bytes) -> bytes:
        found = "127.0.0.1" if name.endswith(".alive.test") else self.addresses.get(name)
        if found is None:
            return struct.pack(">5H", _RESPONSE | _NO_SUCH_NAME, 1, 0, 0, 0) + question
        family = socket.AF_INET6 if ":" in found else socket.AF_INET
        if (kind == _AAAA) != (family == socket.AF_INET6):
            return struct.pack(">5H", _RESPONSE, 1, 0, 0, 0) + question
        packed = socket.inet_pton(family, found)
        answer = _NAME_OF_THE_QUESTION + struct.pack(">HHIH", kind, 1, _TTL_SECONDS, len(packed)) + packed
        return struct.pack(">5H", _RESPONSE, 1, _ONE_ANSWER, 0, 0) + question + answer

    async def wait_for(self, *names: str, queries: int = 1) -> None:
        """Return once there were this many queries for each of these names."""
        await wait_until(lambda: all(self.queries[name] >= queries for name in names))


@contextlib.asynccontextmanager
async def dns_server(addresses: Mapping[str, str] | None = None, host: str = "127.0.0.1") -> AsyncIterator[DnsServer]:
    """Run a DNS server on port 53 of a namespace."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: DnsServer(addresses or {}), local_addr=(host, _PORT)
    )
    try:
        yield server
    finally:
        transport.close()


async def run_with_dns(module: str, *arguments: object, directory: Path, resolv_conf: str) -> Completed:
    """Run a module of the tests where 127.0.0.1:53 is free, and resolv.conf and hosts in `directory` are the system's."""
    unshare = require_program("unshare")
    require_program("ip")
    if (await run(unshare, "-rnm", "true")).status != 0:
        pytest.skip("this system allows no network namespaces")
    (directory / "resolv.conf").write_text(resolv_conf, encoding="utf-8")
    (directory / "hosts").write_text("127.0.0.1 localhost\n", encoding="utf-8")
    enter = (unshare, "-rnm", "bash", "-c", _ENTER, sys.executable, directory)
    return await run(*enter, "-m", module, *arguments)
