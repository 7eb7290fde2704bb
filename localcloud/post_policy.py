"""The PostObject policy: is the document right, and does a form meet its conditions (help page `postobject`).

Conditions are judged on the values as sent, before `${filename}` is expanded; a field that no condition names is
accepted, but for the V4 authentication fields, which must be named (error page `0006-00000228`).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localcloud.oss_errors import OssError, denied

MUST_BE_NAMED = ("x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-security-token")
MAX_OBJECT_BYTES = 5 * 2**30

_POSTED = ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Policy:
    expiration: datetime
    conditions: tuple[tuple[str, str, Any], ...]
    """Mode, field name in lower case, value; with mode `range` the value is (min, max)."""
    texts: tuple[str, ...]
    """Each condition as it was written, for messages."""

    @property
    def size_range(self) -> tuple[int, int]:
        ranges = [value for mode, _, value in self.conditions if mode == "range"]
        least = max((low for low, _ in ranges), default=0)
        return least, min([high for _, high in ranges] + [MAX_OBJECT_BYTES])


def _bad(message: str, ec: str) -> OssError:
    return OssError(400, "InvalidPolicyDocument", f"Invalid Policy: {message}", ec)


def read_policy(encoded: str) -> Policy:
    """The document behind the Base64 form field. Raises `OssError`."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _bad("Invalid Base64.", "0006-00000202") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("Invalid UTF-8.", "0006-00000203") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad("Invalid JSON: unknown char.", "0006-00000204") from None
    if not isinstance(document, dict):
        raise _bad("Invalid JSON: { expected.", "0006-00000204")
    if "expiration" not in document and "conditions" not in document:
        raise _bad("missing expiration and conditions.", "0006-00000209")
    if "expiration" not in document:
        raise _bad("missing expiration.", "0006-00000208")
    if "conditions" not in document:
        raise _bad("missing conditions.", "0006-00000207")
    conditions = document["conditions"]
    if not isinstance(conditions, list) or not conditions:
        raise _bad("conditions must be a list.", "0006-00000214")
    return Policy(
        _expiration(document["expiration"]),
        tuple(_condition(each) for each in conditions),
        tuple(json.dumps(each, ensure_ascii=False) for each in conditions),
    )


def _expiration(value: Any) -> datetime:
    if not isinstance(value, str):
        raise _bad("expiration must be a string.", "0006-00000210")
    for form in _POSTED:
        try:
            return datetime.strptime(value, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise _bad("expiration has a wrong format.", "0006-00000211")


def _condition(item: Any) -> tuple[str, str, Any]:
    if isinstance(item, dict):
        if len(item) != 1:
            message = "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."
            raise _bad(message, "0006-00000226")
        [(name, value)] = item.items()
        if not isinstance(value, str):
            raise _bad("Invalid Simple-Condition: the value must be a string.", "0006-00000224")
        return "eq", name.lower(), value
    if not isinstance(item, list):
        raise _bad("a condition must be a map or a list.", "0006-00000222")
    if not item or not isinstance(item[0], str):
        raise _bad("a condition misses its mode.", "0006-00000216")
    mode = item[0].lower()
    if mode == "content-length-range":
        return _range(item)
    if mode not in ("eq", "starts-with", "in", "not-in"):
        raise _bad(f"unknown condition mode {item[0]}.", "0006-00000216")
    if len(item) != 3:
        raise _bad("a condition has three items.", "0006-00000218")
    _, name, value = item
    listed = mode in ("in", "not-in")
    right = (
        isinstance(value, list) and all(isinstance(each, str) for each in value) if listed else isinstance(value, str)
    )
    if not isinstance(name, str) or not name.startswith("$") or not right:
        raise _bad("a condition's item has a wrong type.", "0006-00000224")
    return mode, name[1:].lower(), value


def _range(item: list[Any]) -> tuple[str, str, Any]:
    if len(item) != 3:
        raise _bad("content-length-range has two numbers.", "0006-00000218")
    low, high = item[1], item[2]
    if type(low) is not int or type(high) is not int or low < 0:
        raise _bad("content-length-range takes integers.", "0006-00000221")
    if high < low:
        raise _bad("content-length-range: the maximum is below the minimum.", "0006-00000219")
    return "range", "", (low, high)


def check_conditions(policy: Policy, fields: Mapping[str, str], bucket: str) -> None:
    """`fields` by lower-case name. Raises AccessDenied for the first condition that does not hold."""
    values = {**fields, "bucket": bucket}
    for (mode, name, wanted), text in zip(policy.conditions, policy.texts, strict=True):
        if mode != "range" and not _holds(mode, values.get(name), wanted):
            raise denied(f"Invalid according to Policy: Policy Condition failed: {text}", "0006-00000227")
    named = {name for _, name, _ in policy.conditions}
    for name in MUST_BE_NAMED:
        if name in fields and name not in named:
            raise denied(f"Invalid according to Policy: Extra input fields: {name}", "0006-00000228")


def _holds(mode: str, value: str | None, wanted: Any) -> bool:
    # Whether not-in holds for an absent field is not documented; the stricter reading is taken.
    if value is None:
        return False
    if mode == "eq":
        return bool(value == wanted)
    if mode == "starts-with":
        return value.startswith(wanted)
    return (value in wanted) is (mode == "in")


def check_expiration(policy: Policy, now: datetime) -> None:
    if policy.expiration <= now:
        raise denied("Invalid according to Policy: Policy expired.", "0006-00000213")
