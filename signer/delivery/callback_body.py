"""What a callback says of an upload: an app's `callback.body`, and what OSS makes of it (help page `callback`).

The app chooses the names of the members; the template says which of them carry `${bucket}` and `${object}`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from signer.errors import InvalidRequest, UnsupportedType
from signer.signing.callback_field import FORM_BODY, JSON_BODY

_MAX_MEMBERS = 200
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_CUSTOM = re.compile(r"x:[a-z0-9_-]+")
_MARK = "\ue000"
"""A private character, which no template holds, around a variable's name."""


class InvalidBodyTemplate(ValueError):
    """A `callback.body` that cannot be used; the text says how to mend it."""


@dataclass(frozen=True, slots=True)
class ReportedUpload:
    """What a callback tells."""

    bucket: str
    key: str
    members: dict[str, Any]
    """All of the body."""


@dataclass(frozen=True, slots=True)
class CallbackBodyFormat:
    """Which members of an app's callbacks say what was uploaded."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, template: str, body_type: str = FORM_BODY) -> CallbackBodyFormat:
        """Raises `InvalidBodyTemplate`."""
        if _MARK in template:
            raise InvalidBodyTemplate("holds a private character")
        for name in _VARIABLE.findall(template):
            if name.lower().startswith("x:") and not _CUSTOM.fullmatch(name):
                raise InvalidBodyTemplate(
                    f"names ${{{name}}}; custom variables are x: and lower-case letters, digits, _ -"
                )
        members = _json_template(template) if body_type == JSON_BODY else _form_template(template)
        found = {value: name for name, value in members if isinstance(value, str)}
        for variable in ("bucket", "object"):
            if f"{_MARK}{variable}{_MARK}" not in found:
                raise InvalidBodyTemplate(f"has no member that is just ${{{variable}}}; write {_example(body_type)}")
        return cls(found[f"{_MARK}bucket{_MARK}"], found[f"{_MARK}object{_MARK}"])

    def read(self, data: bytes, content_type: str) -> ReportedUpload:
        """A body by its Content-Type. Raises `InvalidRequest` and `UnsupportedType`."""
        bare = content_type.partition(";")[0].strip().lower()
        if bare == FORM_BODY:
            members = _form(data)
        elif bare == JSON_BODY:
            members = _json(data)
        else:
            raise UnsupportedType(f"a callback is {FORM_BODY} or {JSON_BODY}")
        bucket, key = members.get(self.bucket), members.get(self.key)
        if not isinstance(bucket, str) or not isinstance(key, str) or not bucket or not key:
            raise InvalidRequest(f"the callback does not say {self.bucket} and {self.key}; is its body the app's?")
        try:
            json.dumps(members, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidRequest("the callback's body holds half of a character") from None
        return ReportedUpload(bucket, key, members)


def _example(body_type: str) -> str:
    if body_type == JSON_BODY:
        return '{"bucket": ${bucket}, "object": ${object}}'
    return "bucket=${bucket}&object=${object}"


def _form_template(template: str) -> list[tuple[str, Any]]:
    return [
        (name, _VARIABLE.sub(rf"{_MARK}\1{_MARK}", value))
        for name, _, value in (pair.partition("=") for pair in template.split("&"))
    ]


def _json_template(template: str) -> list[tuple[str, Any]]:
    """OSS puts the quotes around texts itself, so its variables stand bare."""
    try:
        document = json.loads(_VARIABLE.sub(rf'"{_MARK}\1{_MARK}"', template))
    except (ValueError, RecursionError):
        raise InvalidBodyTemplate(
            f"is no JSON; OSS puts texts in quotes itself, so its variables stand without: write {_example(JSON_BODY)}"
        ) from None
    if not isinstance(document, dict):
        raise InvalidBodyTemplate(f"is no JSON object; write {_example(JSON_BODY)}")
    return list(document.items())


def _form(data: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_MEMBERS)
    except ValueError:
        raise InvalidRequest("the callback's body is no form in UTF-8") from None
    return _each_once(pairs)


def _json(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data.decode(), object_pairs_hook=_each_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidRequest("the callback's body is no valid JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise InvalidRequest("the callback's body is no JSON object")
    return document


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidRequest("the callback's body says a member twice")
    return members


def _no_constant(_name: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")
