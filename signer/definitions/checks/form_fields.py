"""Check the form fields and conditions that an app fixes in its forms.

See: https://help.aliyun.com/zh/oss/developer-reference/postobject
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from signer.definitions import model
from signer.definitions.suggestions import nearest
from signer.definitions.violation import Violation

RESERVED_FIELDS = frozenset({
    "key", "policy", "file", "bucket", "success_action_status", "callback", "content-type", "x-oss-content-type",
    "x-oss-signature", "x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-security-token",
})  # fmt: skip
"""Fields that have a key of their own in the YAML, or that the signer makes."""

_CONDITION = "write [eq, $field, text], [starts-with, $field, text], [in, $field, [..]] or [not-in, $field, [..]]"


def check_headers(app: model.App) -> Iterator[Violation]:
    """Yield what is wrong with `headers`."""
    seen: set[str] = set()
    for name, value in app.headers.items():
        path = ("headers", name)
        lower = name.lower()
        if lower in seen:
            yield Violation(path, "stands here twice; capital letters make no difference")
        seen.add(lower)
        if (complaint := _header_complaint(lower, value)) is not None:
            yield Violation(path, complaint)


def _header_complaint(name: str, value: str) -> str | None:
    if name in RESERVED_FIELDS or name.startswith("x:"):
        return "is made by the signer; use the app's own keys (content_types, success_status, callback)"
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        return "is not the name of a form field; write letters, digits, - and _"
    if "$" in value or any(ord(c) < 32 for c in value):
        return "holds a $ or a control character, which OSS's conditions cannot; leave it out"
    if name == "x-oss-object-acl" and value not in model.ACLS:
        return _one_of(value, model.ACLS)
    if name == "x-oss-storage-class" and value not in model.STORAGE_CLASSES:
        return _one_of(value, model.STORAGE_CLASSES)
    if name == "x-oss-forbid-overwrite" and value not in ("true", "false"):
        return 'must be "true" or "false"'
    return None


def _one_of(value: str, known: tuple[str, ...]) -> str:
    near = nearest(value, known)
    return f"must be one of {', '.join(known)}{f'; did you mean {near}?' if near else ''}"


def check_conditions(app: model.App) -> Iterator[Violation]:
    """Yield what is wrong with `conditions`."""
    for index, condition in enumerate(app.conditions):
        if (complaint := _condition_complaint(condition)) is not None:
            yield Violation(("conditions", index), complaint)


def _condition_complaint(condition: Any) -> str | None:
    """Return why OSS would refuse a condition.

    See: https://help.aliyun.com/zh/oss/user-guide/0006-00000216
    """
    if (
        not isinstance(condition, list)
        or len(condition) != 3
        or condition[0] not in ("eq", "starts-with", "in", "not-in")
    ):
        return f"not a condition; {_CONDITION}"
    mode, name, value = condition
    if not isinstance(name, str) or not name.startswith("$") or len(name) < 2:
        return "the second item must name a form field, like $x-oss-meta-team"
    if name[1:].lower() in RESERVED_FIELDS:
        return "the signer fixes this field already; use the app's own keys"
    values = value if mode in ("in", "not-in") else [value]
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        return f"the third item must be {'a list of texts' if mode in ('in', 'not-in') else 'a text'}"
    if any("$" in item for item in values):
        return "a $ in a condition's value is special to OSS; leave it out"
    return None
