"""Name objects: key templates, and the limits of an app's prefix.

OSS accepts keys of 1 to 1023 bytes of UTF-8 that do not start with `/` or `\\`. A `$` is rejected here as well, because
it is special in PostObject conditions and in `${filename}`.

See: https://help.aliyun.com/zh/oss/user-guide/object-naming-conventions
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from signer.errors import InvalidRequest
from signer.signing.file_name import (
    MAX_FILENAME_BYTES,
    UNSAFE_CHARACTER,
    USUAL_NAME,
    mark,
    safe_filename,
    split_extension,
)
from signer.signing.unique_id import new_uuid_hex

MAX_KEY_BYTES = 1023
PREFIX_PLACEHOLDERS = frozenset({"app", "caller", "caller_hash", "yyyy", "mm", "dd"})
CALLER_PLACEHOLDERS = frozenset({"caller", "caller_hash"})
_FILE_PLACEHOLDERS = frozenset({"filename", "ext", "stem"})
KEY_PLACEHOLDERS = PREFIX_PLACEHOLDERS | _FILE_PLACEHOLDERS | {"uuid"}

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SAFE_KEY = re.compile(r"(?:[A-Za-z0-9_=@+:,-][A-Za-z0-9_=@+:,.-]*/)*(?:[A-Za-z0-9_=@+:,-][A-Za-z0-9_=@+:,.-]*)?")
"""Most keys match this pattern and need no closer look."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_DOT_SEGMENT = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\]|\Z)")
_CALLER_HASH_DIGITS = 32
MAX_CALLER_CHARACTERS = 128
_CALLER = re.compile(rf"[A-Za-z0-9._@=+:-]{{1,{MAX_CALLER_CHARACTERS}}}")


class InvalidTemplate(ValueError):
    """A key or prefix in the definitions that cannot be used; the text gives the reason."""


def unsafe_reason(key: str) -> str | None:
    """Return why `key` is not a safe object key or prefix, or None when it is safe."""
    if _SAFE_KEY.fullmatch(key) and len(key) <= MAX_KEY_BYTES:
        return None
    if key.startswith(("/", "\\")):
        return "starts with / or \\"
    if "$" in key:
        return "contains a $, which is special in PostObject conditions"
    if UNSAFE_CHARACTER.search(key):
        return "contains a control character, a line separator, or a character that reorders text"
    if _DOT_SEGMENT.search(key):
        return "contains a . or .. segment"
    if len(key.encode()) > MAX_KEY_BYTES:
        return f"is longer than {MAX_KEY_BYTES} bytes"
    return None


@dataclass(frozen=True, slots=True)
class Template:
    """Text with `{placeholders}`, validated when the definitions are read."""

    text: str
    names: frozenset[str]
    _with_dot: str = field(init=False, compare=False, repr=False)
    """The text with placeholders of the operator %, the fastest one; and without the dot before `{ext}`."""
    _without_dot: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, text in (("_with_dot", self.text), ("_without_dot", self.text.replace(".{ext}", "{ext}"))):
            object.__setattr__(self, name, PLACEHOLDER.sub(r"%(\1)s", text.replace("%", "%%")))

    @classmethod
    def parse(cls, text: str, allowed: frozenset[str] = KEY_PLACEHOLDERS) -> Template:
        """Validate a template. Raises `InvalidTemplate` for placeholders, braces or text that no key may contain."""
        names = frozenset(PLACEHOLDER.findall(text))
        if unknown := sorted(names - allowed):
            known = " ".join(f"{{{name}}}" for name in sorted(allowed))
            raise InvalidTemplate(f"has the unknown placeholder {{{unknown[0]}}}; known here: {known}")
        plain = PLACEHOLDER.sub("x", text)
        if "{" in plain or "}" in plain:
            raise InvalidTemplate("has a brace outside of a placeholder")
        if reason := unsafe_reason(plain):
            raise InvalidTemplate(reason)
        return cls(text, names)

    def expand(self, values: dict[str, str]) -> str:
        """Return the text with its placeholders replaced; an empty `{ext}` also removes the dot before it."""
        if not self.names:
            return self.text
        return (self._with_dot if values.get("ext") else self._without_dot) % values


def placeholder_in_segment(prefix: str, name: str) -> str | None:
    """Return `{caller}` or `{app}` if it is only a part of a path segment, or None.

    An id can contain any separator but `/`. With `{caller}-{filename}`, the file `b-x` of caller `a` and the file `x`
    of caller `a-b` would have one key. An empty `name` means any names that clients choose.
    """
    for segment in (prefix + (name or "{filename}")).split("/"):
        for placeholder in ("{caller}", "{app}"):
            if placeholder in segment and segment != placeholder:
                return placeholder
    return None


@dataclass(frozen=True, slots=True)
class KeyNaming:
    """How an app names objects: a prefix, and below it a name that the client chooses or that a template gives."""

    prefix: Template
    name: Template | None = None
    """None where the client chooses the name; otherwise prefix and name together are the exact key."""
    needs_caller: bool = field(init=False, compare=False)
    _shows_caller: bool = field(init=False, compare=False)
    """Whether a key contains the id itself, not only its hash."""
    _has_caller_prefix: bool = field(init=False, compare=False)
    _has_prefix_name: bool = field(init=False, compare=False)
    """Whether the name contains a placeholder that prefixes may contain."""

    def __post_init__(self) -> None:
        names = self.prefix.names if self.name is None else self.prefix.names | self.name.names
        object.__setattr__(self, "needs_caller", not names.isdisjoint(CALLER_PLACEHOLDERS))
        object.__setattr__(self, "_shows_caller", "caller" in names)
        object.__setattr__(self, "_has_caller_prefix", not self.prefix.names.isdisjoint(CALLER_PLACEHOLDERS))
        in_name = frozenset() if self.name is None else self.name.names & PREFIX_PLACEHOLDERS
        object.__setattr__(self, "_has_prefix_name", bool(in_name))

    @property
    def is_same_for_all(self) -> bool:
        """Whether keys depend neither on the caller nor on the file."""
        return self.name is None and not self.needs_caller

    def prefix_of(self, *, app_id: str, caller: str | None, now: datetime) -> str:
        """Return the prefix of a caller's keys today. Raises `InvalidRequest` if it is not safe."""
        return KeyNaming(self.prefix).keys(app_id=app_id, caller=caller, filename=None, now=now)[0]

    def check_caller(self, caller: str | None) -> None:
        """Raise `InvalidRequest` if keys need a caller, and the id of this one cannot be part of a key."""
        if self.needs_caller:
            (check_caller if self._shows_caller else caller_hash)(caller)

    def check_filename(self, filename: str | None) -> None:
        """Raise `InvalidRequest` if keys need the name of the file, and there is none."""
        if filename is None and self.name is not None and self.name.names & {"filename", "stem"}:
            raise InvalidRequest("filename is missing; this app names objects after the file")

    def keys(self, *, app_id: str, caller: str | None, filename: str | None, now: datetime) -> tuple[str, str | None]:
        """Return the prefix, and the exact key or None where the client names it; raise `InvalidRequest` if unsafe."""
        if self._shows_caller:
            check_caller(caller)
        elif self.needs_caller:
            caller_hash(caller)
        day = now.toordinal()
        prefix = _prefix(self.prefix.text, app_id, caller if self._has_caller_prefix else None, day)
        name = self.name
        if name is None:
            return prefix, None
        self.check_filename(filename)
        values = _name_values(name, filename)
        if self._has_prefix_name:
            values |= _prefix_values(app_id, caller, day)
        text = name.expand(values)
        key = prefix + text
        # The prefix was checked, so a plain name below it needs no closer look.
        is_plain = _PLAIN_NAME.fullmatch(text) is not None and len(text) + 4 * len(prefix) <= MAX_KEY_BYTES
        if not is_plain and (reason := unsafe_reason(key)):
            raise _unsafe_key(reason)
        return prefix, key


@lru_cache(maxsize=16_384)
def _prefix(text: str, app_id: str, caller: str | None, day: int) -> str:
    """Return the prefix of one caller and day; cached, because the same callers return."""
    prefix = text.format_map(_prefix_values(app_id, caller, day))
    if reason := unsafe_reason(prefix):
        raise _unsafe_key(reason)
    return prefix


@lru_cache(maxsize=16_384)
def _prefix_values(app_id: str, caller: str | None, day: int) -> dict[str, str]:
    date = datetime.fromordinal(day)
    return {
        "app": app_id,
        "caller": caller or "",
        "caller_hash": "" if caller is None else caller_hash(caller),
        "yyyy": f"{date:%Y}",
        "mm": f"{date:%m}",
        "dd": f"{date:%d}",
    }


def _unsafe_key(reason: str) -> InvalidRequest:
    return InvalidRequest(f"the object key of this upload {reason}; send a shorter or plainer filename")


@lru_cache(maxsize=16_384)
def check_caller(caller: str | None) -> str:
    """Return the id of a caller that can be part of a key. Raises `InvalidRequest` for any other."""
    if caller is None or not _CALLER.fullmatch(caller) or caller.strip(".") == "":
        raise InvalidRequest(
            "the caller's id cannot be part of an object key; use 1 to 128 of A-Z a-z 0-9 . _ @ = + : -, "
            "or {caller_hash} in key_prefix"
        )
    return caller


def caller_hash(caller: str | None) -> str:
    """Return 32 hex digits that stand for the id of any caller, such as `auth0|5f7c`. Raises `InvalidRequest`."""
    if caller is None:
        raise InvalidRequest("the caller has no id, and the object keys of this app contain its hash")
    return sha256(caller.encode(errors="surrogatepass")).hexdigest()[:_CALLER_HASH_DIGITS]


def unique_key(prefix: str, filename: str | None) -> str:
    """Return a key below the prefix that no other upload has; it ends with the file's name. Raises `InvalidRequest`."""
    key = prefix + new_uuid_hex()
    if filename is not None:
        key = f"{key}-{safe_filename(filename)}"
    if reason := unsafe_reason(key):
        raise _unsafe_key(reason)
    return key


def _name_values(name: Template, filename: str | None) -> dict[str, str]:
    if filename is None:
        return {"uuid": new_uuid_hex(), "ext": ""}
    if usual := USUAL_NAME.fullmatch(filename):
        safe, (stem, extension) = filename, usual.groups()
    else:
        safe = safe_filename(filename)
        stem, extension = split_extension(safe)
    if extension.isascii() and extension != (lower := extension.lower()):
        if name.names.isdisjoint({"uuid", "filename"}):
            # Nothing else in the key differs for a.JPG and a.jpg.
            stem = mark(stem, filename, MAX_FILENAME_BYTES - len(extension) - 1)
        extension = lower
    return {"uuid": new_uuid_hex(), "filename": safe, "stem": stem, "ext": extension}
