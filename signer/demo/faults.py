"""Faults of the local cloud, from texts such as `sts:latency=3`."""

from __future__ import annotations

from typing import Any

import aiohttp

from signer.demo.local_cloud import CannotStart, LocalCloud

_NUMBER_MEMBERS = {"status": "status", "clock": "offset_seconds"}
"""The member that a fault's number belongs to; it is `seconds` for all other kinds."""


async def set_faults(session: aiohttp.ClientSession, cloud: LocalCloud, texts: list[str]) -> None:
    """Replace the faults of a running local cloud.

    Args:
        texts: `SERVER:KIND` or `SERVER:KIND=NUMBER` each.

    Raises:
        CannotStart: a text names no server or fault.
    """
    faults: dict[str, dict[str, Any]] = {}
    for text in texts:
        server, _, rest = text.partition(":")
        kind, _, number = rest.partition("=")
        faults[server] = {"kind": kind}
        if number:
            faults[server][_NUMBER_MEMBERS.get(kind, "seconds")] = _number(text, number)
    async with session.put(f"{cloud.oss}/-/faults", json=faults) as response:
        if response.status != 200:
            raise CannotStart(f"--fault {' '.join(texts)}: {(await response.json())['error']}")


def _number(text: str, number: str) -> float:
    try:
        return float(number) if "." in number else int(number)
    except ValueError:
        raise CannotStart(f"--fault {text}: {number} is not a number") from None
