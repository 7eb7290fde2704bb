"""Validates the JSON of `PUT /-/faults`; faults.py has the table of kinds."""

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
"""Each kind and its required member."""

_MINIMUM = {"latency": 0.0, "status": 200.0}
_MAXIMUM = {"status": 599.0}
_MAX_SECONDS = 1e9
"""31 years, in both directions, so that every time can be formatted."""


@dataclass(slots=True)
class Fault:
    kind: str
    number: float
    """The seconds, the status or the offset."""
    probability: float
    times: float
    """The number of further requests it applies to."""

    def applies(self, generator: Random) -> bool:
        """Return whether it applies to this request, which uses up one of its times."""
        if self.times <= 0 or (self.probability < 1 and generator.random() >= self.probability):
            return False
        self.times -= 1
        return True


def parse_faults(document: Any) -> dict[str, list[Fault]]:
    """Return the faults by server. Raise ValueError if one is invalid."""
    if not isinstance(document, dict) or set(document) - set(SERVERS):
        raise ValueError(f"the servers are {', '.join(SERVERS)}")
    return {
        server: [_parse(each) for each in (given if isinstance(given, list) else [given])]
        for server, given in document.items()
    }


def _parse(given: Any) -> Fault:
    if not isinstance(given, dict) or not isinstance(given.get("kind"), str) or given["kind"] not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}")
    kind = given["kind"]
    member = KINDS[kind]
    # Tokens are revoked once, when the fault is set.
    optional = set() if kind == "revoked" else {"probability", "times"}
    if set(given) - {"kind"} - optional != ({member} if member else set()):
        raise ValueError(f"{kind} has these members: {member or 'none'}")
    number = 0.0
    if member is not None:
        number = _number(given, member, _MINIMUM.get(kind, -_MAX_SECONDS), _MAXIMUM.get(kind, _MAX_SECONDS))
    probability = _number(given, "probability", 0, 1) if "probability" in given else 1.0
    times = _number(given, "times", 1, _MAX_SECONDS) if "times" in given else math.inf
    for name, value in (("status", number if kind == "status" else 0), ("times", times)):
        if value != math.inf and value != int(value):
            raise ValueError(f"{name} must be a whole number")
    return Fault(kind, number, probability, times)


def _number(given: dict[str, Any], name: str, minimum: float, maximum: float) -> float:
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= maximum:
        raise ValueError(f"{name} must be a number from {minimum:g} to {maximum:g}")
    return value
