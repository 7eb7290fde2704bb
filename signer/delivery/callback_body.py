"""Parse the body of a callback by the app's `callback.body`, the template that OSS fills in.

The app chooses the names of the members; the template shows which of them carry `${bucket}` and `${object}`.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
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
_CUSTOM_VARIABLE = re.compile(r"x:[a-z0-9_-]+")
_MARK = "\ue000"
"""A private-use character, which no template may contain; it encloses the names of variables."""


class InvalidBodyTemplate(ValueError):
    """A `callback.body` that cannot be used; the text gives the reason and how to fix it."""


@dataclass(frozen=True, slots=True)
class ReportedUpload:
    """What a callback reports."""

    bucket: str
    key: str
    members: dict[str, Any]
    """All members of the body, with bucket and key."""


@dataclass(frozen=True, slots=True)
class CallbackBodyFormat:
    """The names of the members that carry the bucket and the object key."""

    bucket_member: str
    key_member: str

    @classmethod
    def from_template(cls, template: str, body_type: str = FORM_BODY) -> CallbackBodyFormat:
        """Return the format of the bodies that OSS makes from a template. Raises `InvalidBodyTemplate`."""
        if _MARK in template:
            raise InvalidBodyTemplate("contains the private-use character U+E000; leave it out")
        for name in _VARIABLE.findall(template):
            if name.lower().startswith("x:") and not _CUSTOM_VARIABLE.fullmatch(name):
                raise InvalidBodyTemplate(
                    f"contains ${{{name}}}; write custom variables as x: with lower-case letters, digits, _ -"
                )
        members = _json_template(template) if body_type == JSON_BODY else _form_template(template)
        names = {value: name for name, value in members if isinstance(value, str)}
        for variable in ("bucket", "object"):
            if f"{_MARK}{variable}{_MARK}" not in names:
                raise InvalidBodyTemplate(f"has no member that is just ${{{variable}}}; write {_example(body_type)}")
        return cls(names[f"{_MARK}bucket{_MARK}"], names[f"{_MARK}object{_MARK}"])

    def parse(self, data: bytes, content_type: str) -> ReportedUpload:
        """Return what a body reports. Raises `UnsupportedType`, or `InvalidRequest` for a body that is not valid."""
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type == FORM_BODY:
            members = _parse_form(data)
        elif media_type == JSON_BODY:
            members = _parse_json(data)
        else:
            raise UnsupportedType(f"the callback has another content type; use {FORM_BODY} or {JSON_BODY}")
        bucket, key = members.get(self.bucket_member), members.get(self.key_member)
        if not isinstance(bucket, str) or not isinstance(key, str) or not bucket or not key:
            raise InvalidRequest(
                f"the callback has no {self.bucket_member} and {self.key_member}; use the app's callback.body"
            )
        try:
            json.dumps(members, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidRequest("the callback body contains a lone surrogate; send valid Unicode") from None
        return ReportedUpload(bucket, key, members)


def add_request_id(template: str, body_type: str) -> str:
    """Return a valid template with OSS's request id, so that each upload has a body of its own.

    See: https://help.aliyun.com/zh/oss/developer-reference/callback
    """
    if "${reqId}" in template:
        return template
    members = _json_template(template) if body_type == JSON_BODY else _form_template(template)
    name = "reqId"
    while name in dict(members):
        name = f"_{name}"
    if body_type == JSON_BODY:
        return template.rstrip().removesuffix("}") + f', "{name}": ${{reqId}}}}'
    return f"{template}&{name}=${{reqId}}"


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
    """Return the members of a JSON template, in which variables have no quotes because OSS adds them."""
    try:
        document = json.loads(_VARIABLE.sub(rf'"{_MARK}\1{_MARK}"', template))
    except (ValueError, RecursionError):
        raise InvalidBodyTemplate(
            f"is not valid JSON; OSS adds the quotes around texts, so write variables without: {_example(JSON_BODY)}"
        ) from None
    if not isinstance(document, dict):
        raise InvalidBodyTemplate(f"is not a JSON object; write {_example(JSON_BODY)}")
    return list(document.items())


def _parse_form(data: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_MEMBERS)
    except ValueError:
        raise InvalidRequest(f"the callback body is not a UTF-8 form of at most {_MAX_MEMBERS} members") from None
    return _unique_members(pairs)


def _parse_json(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data.decode(), object_pairs_hook=_unique_members, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise InvalidRequest("the callback body is not valid JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise InvalidRequest("the callback body is not a JSON object")
    return document


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidRequest("the callback body has a member twice")
    return members


def _reject_constant(_name: str) -> Any:
    raise ValueError("NaN and Infinity are not valid JSON")
