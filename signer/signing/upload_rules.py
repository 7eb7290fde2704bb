"""An app's upload rules, and what they make of a client's request: its size, type, callback variables and metadata.

Pure functions over plain values. Rules: help pages `postobject` (conditions, form fields) and `callback` (variables).
The forms that are signed by them are made in forms.py.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from signer.errors import InvalidRequest, TooLarge, UnsupportedType
from signer.signing.callback_field import CallbackField
from signer.signing.object_key import KeyNaming

MAX_OBJECT_BYTES = 5 * 1024**3
MAX_EXPIRES = timedelta(days=7)
MAX_VARS = 20
MAX_VAR_BYTES = 1024
MAX_META_BYTES = 4096

Condition = list[Any] | dict[str, str]

_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#&^_.+-]{1,127}/[A-Za-z0-9!#&^_.+-]{1,127}(; ?[A-Za-z0-9_-]+=[\w.+-]+)*", re.ASCII
)
_VAR_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_TYPES = mimetypes.MimeTypes()
"""Python's own list, without what this machine adds to it."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class UploadRules:
    """What an app allows: plain values, checked when the definitions were read."""

    bucket: str
    region: str
    url: str
    naming: KeyNaming
    expires: timedelta
    max_size_bytes: int
    min_size_bytes: int = 1
    content_types: tuple[str, ...] = ()
    """Exact types and `image/*` wildcards; empty allows any."""
    success_status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """Form fields with a fixed value, pinned by a condition each."""
    conditions: tuple[Condition, ...] = ()
    callback: CallbackField | None = None
    meta_names: frozenset[str] = frozenset()
    """The `x-oss-meta-*` names, without that prefix, that a request may give a value."""


class UploadRequest(NamedTuple):
    """What a client says about the file it wants to upload; all of it optional and none of it trusted."""

    filename: str | None = None
    content_type: str | None = None
    size_bytes: int | None = None
    vars: Mapping[str, str] = MappingProxyType({})
    meta: Mapping[str, str] = MappingProxyType({})
    """The object's own metadata, by name without `x-oss-meta-`."""


EMPTY_REQUEST = UploadRequest()


def choose_content_type(rules: UploadRules, request: UploadRequest) -> str | None:
    """The one type to sign: the request's own, else the file name's, else the app's only one; None where any will do.

    Raises `UnsupportedType` for a type the app does not take, `InvalidRequest` for none where one is needed.
    """
    wanted = request.content_type
    if wanted is not None and not _is_media_type(wanted):
        raise InvalidRequest("content_type is no media type such as image/jpeg")
    if not rules.content_types:
        return wanted
    if wanted is None and request.filename is not None:
        wanted = _TYPES.guess_type(request.filename)[0]
    if wanted is None and len(rules.content_types) == 1 and "*" not in rules.content_types[0]:
        wanted = rules.content_types[0]
    if wanted is None:
        raise InvalidRequest(f"say content_type; this app takes {', '.join(rules.content_types)}")
    if not _takes(rules.content_types, wanted):
        raise UnsupportedType(f"this app takes {', '.join(rules.content_types)}")
    return wanted


@lru_cache(maxsize=1024)
def _is_media_type(text: str) -> bool:
    return len(text) <= 255 and _MEDIA_TYPE.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _takes(patterns: tuple[str, ...], content_type: str) -> bool:
    return any(_matches(pattern, content_type) for pattern in patterns)


def _matches(pattern: str, content_type: str) -> bool:
    bare = content_type.partition(";")[0].lower()
    pattern = pattern.lower()
    return bare.startswith(pattern[:-1]) if pattern.endswith("/*") else bare == pattern


def content_type_condition(rules: UploadRules, request: UploadRequest) -> Condition:
    """A condition on `x-oss-content-type`, which decides the stored type whatever else the form says."""
    name = "$x-oss-content-type"
    if request.content_type is not None:
        return ["eq", name, choose_content_type(rules, request)]
    wildcards = [pattern for pattern in rules.content_types if pattern.endswith("/*")]
    if not wildcards:
        return ["in", name, list(rules.content_types)]
    if len(rules.content_types) == 1:
        return ["starts-with", name, wildcards[0][:-1]]
    allowed = ", ".join(rules.content_types)
    raise InvalidRequest(f"say content_type in the query, since one form cannot allow all of {allowed}")


def check_size(rules: UploadRules, request: UploadRequest) -> None:
    if request.size_bytes is None:
        return
    if request.size_bytes > rules.max_size_bytes:
        raise TooLarge(f"the file has {request.size_bytes} bytes; this app takes at most {rules.max_size_bytes}")
    if request.size_bytes < rules.min_size_bytes:
        raise InvalidRequest(f"the file has {request.size_bytes} bytes; this app takes at least {rules.min_size_bytes}")


def callback_variables(rules: UploadRules, variables: Mapping[str, str]) -> dict[str, str]:
    """`x:name` fields for the callback body (help page `callback`), pinned like the rest."""
    if variables and rules.callback is None:
        raise InvalidRequest("vars are for the upload callback, and this app has none")
    if len(variables) > MAX_VARS:
        raise InvalidRequest(f"at most {MAX_VARS} vars")
    for name, value in variables.items():
        if not _VAR_NAME.fullmatch(name):
            raise InvalidRequest("the names in vars are 1 to 64 of a-z 0-9 _ -")
        if _CONTROL.search(value) or "$" in value or len(value.encode()) > MAX_VAR_BYTES:
            raise InvalidRequest(f"vars.{name}: at most {MAX_VAR_BYTES} bytes, no control characters, no $")
    return {f"x:{name}": value for name, value in variables.items()}


def metadata(rules: UploadRules, meta: Mapping[str, str]) -> dict[str, str]:
    """`x-oss-meta-*` fields of the request, pinned like the rest; OSS takes 8 KB of them (help page `postobject`)."""
    for name, value in meta.items():
        if name not in rules.meta_names:
            known = ", ".join(sorted(rules.meta_names)) or "none"
            raise InvalidRequest(f"meta: this app takes no {name[:64]!r}; it takes: {known}")
        if _CONTROL.search(value) or "$" in value:
            raise InvalidRequest(f"meta.{name}: no control characters, no $")
        if f"x-oss-meta-{name}" in rules.headers:
            raise InvalidRequest(f"meta.{name} is fixed by this app")
    if sum(len((name + value).encode()) for name, value in meta.items()) > MAX_META_BYTES:
        raise InvalidRequest(f"meta: at most {MAX_META_BYTES} bytes in all")
    return {f"x-oss-meta-{name}": value for name, value in meta.items()}
