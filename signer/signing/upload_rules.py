"""What an app allows, what a client may request, and how a request is checked against the rules.

See: https://help.aliyun.com/zh/oss/developer-reference/postobject
See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from signer.errors import InvalidRequest, Problem, TooLarge, UnsupportedType
from signer.signing.callback_field import CallbackField
from signer.signing.content_types import content_type_by_name, runs_script
from signer.signing.object_key import KeyNaming
from signer.signing.policy_document import Condition

MAX_OBJECT_BYTES = 5 * 1024**3
MAX_EXPIRES = timedelta(days=7)
MAX_VARS = 20
MAX_VAR_BYTES = 1024
MAX_META_BYTES = 4096

_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#&^_.+-]{1,127}/[A-Za-z0-9!#&^_.+-]{1,127}(; ?[A-Za-z0-9_-]+=[\w.+-]+)*", re.ASCII
)
_VAR_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class MultipartRules:
    """What an app allows in uploads of several parts."""

    threshold_bytes: int
    part_size_bytes: int
    max_size_bytes: int
    expires: timedelta
    """How long an upload can be continued."""


@dataclass(frozen=True, slots=True)
class UploadRules:
    """What an app allows. The values were validated when the definitions were read."""

    bucket: str
    region: str
    url: str
    naming: KeyNaming
    expires: timedelta
    max_size_bytes: int
    min_size_bytes: int = 1
    content_types: tuple[str, ...] = ()
    """Exact types in lower case; empty allows any type."""
    success_status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """Form fields with a fixed value."""
    conditions: tuple[Condition, ...] = ()
    callback: CallbackField | None = None
    meta_names: frozenset[str] = frozenset()
    """The names, without `x-oss-meta-`, of the metadata that a request may set."""
    multipart: MultipartRules | None = None
    counts_bytes: bool = False
    """Whether limits of bytes apply, so that each request must declare the exact size of its file."""

    def fields_with_one_value(self) -> dict[str, str]:
        """Return the fields to which an `eq` condition in the YAML leaves one value only."""
        return {rule[1][1:]: rule[2] for rule in self.conditions if isinstance(rule, list) and rule[0] == "eq"}


class UploadRequest(NamedTuple):
    """What a client states about the file that it wants to upload. All of it is optional, and none of it is trusted."""

    filename: str | None = None
    content_type: str | None = None
    size_bytes: int | None = None
    vars: Mapping[str, str] = MappingProxyType({})
    meta: Mapping[str, str] = MappingProxyType({})
    """The metadata of the object, by name without `x-oss-meta-`."""
    reuse: bool = False
    """Whether the client uses the form for several files, and names them itself."""
    is_put: bool = False
    """Whether the client sends the file alone with PUT, instead of a form."""


EMPTY_REQUEST = UploadRequest()


def choose_content_type(rules: UploadRules, request: UploadRequest) -> str | None:
    """Return the content type to sign, or None where the client may send any type.

    Raises as `find_content_type` does, and `InvalidRequest` where the app restricts the types and none is known.
    """
    content_type = find_content_type(rules, request)
    if content_type is None and rules.content_types:
        raise InvalidRequest(f"content_type is missing; this app allows {', '.join(rules.content_types)}")
    return content_type


def find_content_type(rules: UploadRules, request: UploadRequest) -> str | None:
    """Return the type of the request, else the one of its file name, else the only type that the app allows.

    Where the app does not restrict the types, the file name counts only for a form that the client uses for several
    files: the upload library has no table of types. Returns None where no type is known. Raises `UnsupportedType` for
    a type that the app does not allow, and `InvalidRequest` for one that is not valid.
    """
    content_type = request.content_type
    if content_type is not None and not _is_media_type(content_type):
        raise InvalidRequest("content_type is not a media type; send one such as image/jpeg")
    if not rules.content_types:
        return _safe_type_by_name(request) if content_type is None and request.reuse else content_type
    if content_type is None and request.filename is not None:
        content_type = content_type_by_name(request.filename)
    if content_type is None and len(rules.content_types) == 1:
        content_type = rules.content_types[0]
    if content_type is not None and content_type.partition(";")[0].lower() not in rules.content_types:
        raise UnsupportedType(f"{content_type} is not allowed; this app allows {', '.join(rules.content_types)}")
    return content_type


def _safe_type_by_name(request: UploadRequest) -> str | None:
    content_type = content_type_by_name(request.filename) if request.filename is not None else None
    return None if content_type is not None and runs_script(content_type) else content_type


@lru_cache(maxsize=1024)
def _is_media_type(text: str) -> bool:
    return len(text) <= 255 and _MEDIA_TYPE.fullmatch(text) is not None


def content_type_condition(rules: UploadRules, request: UploadRequest) -> Condition:
    """Return a condition on `x-oss-content-type`, the field that decides the stored type when it is present.

    It names whole types: OSS stores the text `image/png,text/html` as it is, and browsers treat it as HTML. Raises as
    `choose_content_type` does.
    """
    if request.content_type is None:
        return ["in", "$x-oss-content-type", list(rules.content_types)]
    return ["eq", "$x-oss-content-type", choose_content_type(rules, request)]


def check_size(rules: UploadRules, request: UploadRequest) -> None:
    """Raise `TooLarge` or `InvalidRequest` for a stated size that the app does not allow, or a missing one it needs."""
    if request.size_bytes is None:
        if rules.counts_bytes:
            raise InvalidRequest("size is missing; this app limits bytes, so send the size of the file in bytes")
        return
    if request.size_bytes > rules.max_size_bytes:
        raise TooLarge(f"the file has {request.size_bytes} bytes; this app allows at most {rules.max_size_bytes}")
    if request.size_bytes < rules.min_size_bytes:
        raise InvalidRequest(f"the file has {request.size_bytes} bytes; this app needs at least {rules.min_size_bytes}")


def charged_bytes(
    rules: UploadRules, request: UploadRequest, check: Callable[[UploadRules, UploadRequest], object]
) -> int:
    """Return what a request takes from limits of bytes: the size of its file, or 0 for one that will be refused.

    `check` raises the `Problem` that refuses the request from every caller, which must not become `quota_exceeded`.
    """
    if not rules.counts_bytes:
        return 0
    try:
        check(rules, request)
    except Problem:
        return 0
    return request.size_bytes or 0


def callback_variables(rules: UploadRules, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the `x:name` form fields that OSS inserts into the callback body. Raises `InvalidRequest`.

    See: https://help.aliyun.com/zh/oss/developer-reference/callback
    """
    if variables and rules.callback is None:
        raise InvalidRequest("vars are for the upload callback, and this app has none; leave them out")
    if len(variables) > MAX_VARS:
        raise InvalidRequest(f"vars has more than {MAX_VARS} members; send fewer")
    for name, value in variables.items():
        if not _VAR_NAME.fullmatch(name):
            raise InvalidRequest("a name in vars is not valid; use 1 to 64 of a-z 0-9 _ -")
        if _CONTROL.search(value) or "$" in value or len(value.encode()) > MAX_VAR_BYTES:
            raise InvalidRequest(
                f"vars.{name} is not valid; send at most {MAX_VAR_BYTES} bytes without control characters and $"
            )
    return {f"x:{name}": value for name, value in variables.items()}


def metadata(rules: UploadRules, meta: Mapping[str, str]) -> dict[str, str]:
    """Return the `x-oss-meta-*` form fields of a request. OSS allows 8 KB of them. Raises `InvalidRequest`.

    See: https://help.aliyun.com/zh/oss/developer-reference/postobject
    """
    if not meta:
        return {}
    fixed = {name.lower() for name in (*rules.headers, *rules.fields_with_one_value())}
    for name, value in meta.items():
        if name not in rules.meta_names:
            allowed = ", ".join(sorted(rules.meta_names)) or "none"
            raise InvalidRequest(f"meta: this app does not allow {name[:64]!r}; allowed here: {allowed}")
        if _CONTROL.search(value) or "$" in value:
            raise InvalidRequest(f"meta.{name} contains a control character or $; leave it out")
        if f"x-oss-meta-{name}" in fixed:
            raise InvalidRequest(f"meta.{name} has a fixed value in this app; leave it out")
    if sum(len((name + value).encode()) for name, value in meta.items()) > MAX_META_BYTES:
        raise InvalidRequest(f"meta has more than {MAX_META_BYTES} bytes in all; send shorter values")
    return {f"x-oss-meta-{name}": value for name, value in meta.items()}
