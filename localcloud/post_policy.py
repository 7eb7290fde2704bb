"""The PostObject policy: parses the document and checks a form against its conditions.

Conditions apply to the values as sent, before `${filename}` is expanded. A field without a condition is accepted,
except the V4 authentication fields, which need one (EC 0006-00000228).
See: https://help.aliyun.com/zh/oss/developer-reference/postobject
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

NEED_CONDITIONS = ("x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-security-token")
MAX_OBJECT_BYTES = 5 * 2**30

_DATE_FORMATS = ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Policy:
    expiration: datetime
    conditions: tuple[tuple[str, str, Any], ...]
    """Mode, field name in lower case, value; with mode `range` the value is (min, max)."""
    texts: tuple[str, ...]
    """The source of each condition, for messages."""

    @property
    def size_range(self) -> tuple[int, int]:
        ranges = [value for mode, _, value in self.conditions if mode == "range"]
        minimum = max((low for low, _ in ranges), default=0)
        return minimum, min([high for _, high in ranges] + [MAX_OBJECT_BYTES])


def _invalid(message: str, ec: str) -> OssError:
    return OssError(400, "InvalidPolicyDocument", f"Invalid Policy: {message}", ec)


def parse_policy(encoded: str) -> Policy:
    """Parse the Base64 form field. Raise `OssError` if it is invalid."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("Invalid Base64.", "0006-00000202") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid("Invalid UTF-8.", "0006-00000203") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid("Invalid JSON: unknown char.", "0006-00000204") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON: { expected.", "0006-00000204")
    if "expiration" not in document and "conditions" not in document:
        raise _invalid("missing expiration and conditions.", "0006-00000209")
    if "expiration" not in document:
        raise _invalid("missing expiration.", "0006-00000208")
    if "conditions" not in document:
        raise _invalid("missing conditions.", "0006-00000207")
    conditions = document["conditions"]
    if not isinstance(conditions, list):
        raise _invalid("conditions must be a list.", "0006-00000214")
    if not conditions:
        raise _invalid("conditions must not be empty.", "0006-00000215")
    return Policy(
        _expiration(document["expiration"]),
        tuple(_condition(each) for each in conditions),
        tuple(json.dumps(each, ensure_ascii=False) for each in conditions),
    )


def _expiration(value: Any) -> datetime:
    if not isinstance(value, str):
        raise _invalid("expiration must be a string.", "0006-00000210")
    for date_format in _DATE_FORMATS:
        try:
            return datetime.strptime(value, date_format).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise _invalid("expiration has a wrong format.", "0006-00000211")


def _condition(item: Any) -> tuple[str, str, Any]:
    if isinstance(item, dict):
        if len(item) != 1:
            message = "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."
            raise _invalid(message, "")
        [(name, value)] = item.items()
        if not isinstance(value, str):
            raise _invalid("Invalid Simple-Condition: the value must be a string.", "0006-00000224")
        return "eq", name.lower(), value
    if not isinstance(item, list):
        raise _invalid("a condition must be a map or a list.", "0006-00000222")
    if not item or not isinstance(item[0], str):
        raise _invalid("a condition misses its mode.", "0006-00000216")
    mode = item[0].lower()
    if mode == "content-length-range":
        return _range(item)
    if mode not in ("eq", "starts-with", "in", "not-in"):
        raise _invalid(f"unknown condition mode {item[0]}.", "0006-00000216")
    if len(item) != 3:
        raise _invalid("a condition has three items.", "0006-00000218")
    _, name, value = item
    is_list = mode in ("in", "not-in")
    is_valid = (
        isinstance(value, list) and all(isinstance(each, str) for each in value) if is_list else isinstance(value, str)
    )
    if not isinstance(name, str) or not name.startswith("$") or not is_valid:
        raise _invalid("a condition's item has a wrong type.", "0006-00000224")
    return mode, name[1:].lower(), value


def _range(item: list[Any]) -> tuple[str, str, Any]:
    if len(item) != 3:
        raise _invalid("content-length-range has two numbers.", "0006-00000218")
    low, high = item[1], item[2]
    if type(low) is not int or type(high) is not int or low < 0:
        raise _invalid("content-length-range takes integers.", "0006-00000221")
    if high < low:
        raise _invalid("content-length-range: the maximum is below the minimum.", "0006-00000219")
    return "range", "", (low, high)


def check_conditions(policy: Policy, fields: Mapping[str, str], bucket: str) -> None:
    """Raise AccessDenied for the first condition that does not hold. `fields` is by lower-case name."""
    values = {**fields, "bucket": bucket}
    for (mode, name, expected), text in zip(policy.conditions, policy.texts, strict=True):
        if mode != "range" and not _holds(mode, values.get(name), expected):
            ec = "0006-00000227" if name in values else "0006-00000226"
            raise denied(f"Invalid according to Policy: Policy Condition failed: {text}", ec)
    named = {name for _, name, _ in policy.conditions}
    for name in NEED_CONDITIONS:
        if name in fields and name not in named:
            raise denied(f"Invalid according to Policy: Extra input fields: {name}", "0006-00000228")


def _holds(mode: str, value: str | None, expected: Any) -> bool:
    # The documentation leaves open whether not-in holds for an absent field: the stricter reading applies.
    if value is None:
        return False
    if mode == "eq":
        return bool(value == expected)
    if mode == "starts-with":
        return value.startswith(expected)
    return (value in expected) is (mode == "in")


def check_expiration(policy: Policy, now: datetime) -> None:
    if policy.expiration <= now:
        raise denied("Invalid according to Policy: Policy expired.", "0006-00000213")
