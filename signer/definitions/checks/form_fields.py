"""Check the form fields and conditions that an app fixes in its forms.

See: https://help.aliyun.com/zh/oss/developer-reference/postobject
"""

from collections.abc import Iterator
from typing import Any

from signer.definitions import model
from signer.definitions.mistakes import Violation
from signer.definitions.redaction import quote
from signer.definitions.suggestions import not_one_of

RESERVED_FIELDS = frozenset({
    "key", "policy", "file", "bucket", "success_action_status", "callback", "content-type", "x-oss-content-type",
    "x-oss-signature", "x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-security-token",
})  # fmt: skip
"""Fields that have a key of their own in the YAML, or that the signer makes."""

_OSS_FIELDS = frozenset({
    "x-oss-object-acl", "x-oss-storage-class", "x-oss-forbid-overwrite", "x-oss-server-side-encryption",
    "x-oss-server-side-encryption-key-id",
})  # fmt: skip
"""The fields of OSS's own that a PostObject form may have, apart from the reserved ones and x-oss-meta-*."""

_ENCRYPTIONS = ("AES256", "KMS", "SM4")

_MODES = ("eq", "starts-with", "in", "not-in")
_CONDITION = "write [eq, $field, text], [starts-with, $field, text], [in, $field, [..]] or [not-in, $field, [..]]"


def check_headers(app: model.AppEntry) -> Iterator[Violation]:
    """Yield what is wrong with `headers`."""
    seen: set[str] = set()
    for name, value in app.headers.items():
        path = ("headers", name)
        lower = name.lower()
        if lower in seen:
            yield Violation(path, "this field is already set above with other capital letters; remove one of the two")
        seen.add(lower)
        if (reason := _reject_header(lower, value)) is not None:
            yield Violation(path, reason)


def _reject_header(name: str, value: str) -> str | None:
    if name in RESERVED_FIELDS or name.startswith("x:"):
        return "the signer sets this field; use the keys content_types, success_status and callback of the app"
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        return "this is not the name of a form field; use letters, digits, - and _"
    if (reason := _refused_by_post_object(name)) is not None:
        return reason
    if "$" in value or any(ord(c) < 32 for c in value):
        return f"{quote(value)} contains a $ or a control character, which OSS cannot compare; remove it"
    if name == "x-oss-object-acl" and value not in model.ACLS:
        return not_one_of(quote(value), value, model.ACLS)
    if name == "x-oss-storage-class" and value not in model.STORAGE_CLASSES:
        return not_one_of(quote(value), value, model.STORAGE_CLASSES)
    if name == "x-oss-server-side-encryption" and value not in _ENCRYPTIONS:
        return not_one_of(quote(value), value, _ENCRYPTIONS)
    if name == "x-oss-forbid-overwrite" and value not in ("true", "false"):
        return f'{quote(value)} is not "true" or "false"; write one of them in quotes'
    return None


def _refused_by_post_object(name: str) -> str | None:
    """Return why OSS refuses a form with this field, which other operations such as PutObject may accept."""
    if name in _OSS_FIELDS or name.startswith("x-oss-meta-") or not name.startswith(("x-oss-", "x-amz-")):
        return None
    if name == "x-oss-tagging":
        return "OSS does not accept tags in a form; remove it, and tag objects with PutObjectTagging after the upload"
    return f"OSS does not accept this field in a form; known here: {', '.join(sorted(_OSS_FIELDS))}, x-oss-meta-*"


def check_conditions(app: model.AppEntry) -> Iterator[Violation]:
    """Yield what is wrong with `conditions`."""
    for index, condition in enumerate(app.conditions):
        if (reason := _reject_condition(condition)) is not None:
            yield Violation(("conditions", index), reason)


def _reject_condition(condition: Any) -> str | None:
    """Return why OSS would reject a condition.

    See: https://help.aliyun.com/zh/oss/user-guide/0006-00000216
    """
    if not isinstance(condition, list) or len(condition) != 3 or condition[0] not in _MODES:
        return f"this is not a condition; {_CONDITION}"
    mode, name, value = condition
    if not isinstance(name, str) or not name.startswith("$") or len(name) < 2:
        return f"{quote(name)} is not a form field; write it with a $, like $x-oss-meta-team"
    if name[1:].lower() in RESERVED_FIELDS:
        return f"the signer already sets a condition for {quote(name)}; use the keys of the app instead"
    if (reason := _refused_by_post_object(name[1:].lower())) is not None:
        return reason
    values = value if mode in ("in", "not-in") else [value]
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        expected, example = ("a list of texts", "[a, b]") if mode in ("in", "not-in") else ("text", "text")
        return f"the third item is not {expected}; write [{mode}, $field, {example}]"
    if any("$" in item for item in values):
        return f"{quote(value)} contains a $, which is special in OSS's conditions; remove it"
    return None
