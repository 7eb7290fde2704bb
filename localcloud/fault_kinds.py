"""What is a fault and what is none: the JSON of `PUT /-/faults`, checked; the table is in faults.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Any

SERVERS = ("metadata", "sts", "oss", "wechat")
KINDS: dict[str, str | None] = {
    "latency": "seconds",
    "hang": None,
    "reset": None,
    "status": "status",
    "throttling": None,
    "malformed": None,
    "truncated": None,
    "expired": None,
    "nearly_expired": "seconds",
    "revoked": None,
    "clock": "offset_seconds",
}
"""Each kind, and the member it must have."""

_LEAST = {"latency": 0.0, "status": 200.0}
_MOST = {"status": 599.0}
_FARTHEST = 1e9
"""For seconds either way: 31 years, so that all times can still be written."""


@dataclass(slots=True)
class Fault:
    kind: str
    number: float
    """The seconds, the status or the offset."""
    probability: float
    times: float
    """How many more requests it holds for."""

    def holds(self, generator: Random) -> bool:
        """Whether this request has it; that uses up one of its times."""
        if self.times <= 0 or (self.probability < 1 and generator.random() >= self.probability):
            return False
        self.times -= 1
        return True


def read_faults(wanted: Any) -> dict[str, list[Fault]]:
    """By server. Raises ValueError for what is no fault."""
    if not isinstance(wanted, dict) or set(wanted) - set(SERVERS):
        raise ValueError(f"name servers out of {', '.join(SERVERS)}")
    return {
        server: [_read(each) for each in (given if isinstance(given, list) else [given])]
        for server, given in wanted.items()
    }


def _read(given: Any) -> Fault:
    if not isinstance(given, dict) or not isinstance(given.get("kind"), str) or given["kind"] not in KINDS:
        raise ValueError(f"a fault has a kind out of {', '.join(KINDS)}")
    kind = given["kind"]
    member = KINDS[kind]
    # What has been revoked stays so: it happens once, when the fault is set.
    optional = set() if kind == "revoked" else {"probability", "times"}
    if set(given) - {"kind"} - optional != ({member} if member else set()):
        raise ValueError(f"{kind} takes: {member or 'nothing more'}")
    number = 0.0
    if member is not None:
        number = _number(given, member, _LEAST.get(kind, -_FARTHEST), _MOST.get(kind, _FARTHEST))
    probability = _number(given, "probability", 0, 1) if "probability" in given else 1.0
    times = _number(given, "times", 1, _FARTHEST) if "times" in given else math.inf
    for name, value in (("status", number if kind == "status" else 0), ("times", times)):
        if value != math.inf and value != int(value):
            raise ValueError(f"{name} is a whole number")
    return Fault(kind, number, probability, times)


def _number(given: dict[str, Any], name: str, least: float, most: float) -> float:
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{name} is a number from {least:g} to {most:g}")
    return value
