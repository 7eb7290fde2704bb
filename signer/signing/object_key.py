"""Object keys: templates, safe names made from what a client sends, and the walls of an app's prefix.

OSS takes 1 to 1023 bytes of UTF-8 that do not start with `/` or `\\` (help page `object-naming-conventions`).
A `$` is refused besides, because it is special inside PostObject conditions and in `${filename}`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from signer.errors import InvalidRequest

MAX_KEY_BYTES = 1023
MAX_FILENAME_BYTES = 255
_SURELY_SHORT_CHARACTERS = MAX_KEY_BYTES // 4
"""A character has at most four bytes in UTF-8."""
MAX_EXTENSION_CHARACTERS = 16
PREFIX_PLACEHOLDERS = frozenset({"app", "caller", "yyyy", "mm", "dd"})
_OF_FILE = frozenset({"filename", "ext", "stem"})
KEY_PLACEHOLDERS = PREFIX_PLACEHOLDERS | _OF_FILE | {"uuid"}

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_DATES = {"yyyy": "[0-9]{4}", "mm": "[0-9]{2}", "dd": "[0-9]{2}"}
_PLAIN = re.compile(r"[ -~]*")
_USUAL_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. -]{0,200}\.[A-Za-z0-9]{1,16}")
_USUAL_KEY = re.compile(r"(?:[A-Za-z0-9_=@+:,-][A-Za-z0-9_=@+:,.-]*/)*(?:[A-Za-z0-9_=@+:,-][A-Za-z0-9_=@+:,.-]*)?")
_DOT_SEGMENT = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\]|\Z)")
_UNSAFE = str.maketrans(dict.fromkeys('$<>:"|?*{}', "_"))
_CALLER = re.compile(r"[A-Za-z0-9._@=+:-]{1,128}")


class InvalidTemplate(ValueError):
    """A key or prefix in the definitions that cannot be used; the text says how to mend it."""


def _forbidden(character: str) -> bool:
    """Control, format (bidi, zero-width), surrogate, private and unassigned characters, and line separators."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def complaint(key: str) -> str | None:
    """Why `key` is no safe object key or prefix, or None when it is one."""
    if _USUAL_KEY.fullmatch(key) and len(key) <= MAX_KEY_BYTES:
        return None
    if key.startswith(("/", "\\")):
        return "starts with / or \\"
    if "$" in key:
        return "holds a $, which is special in PostObject conditions"
    if not _PLAIN.fullmatch(key) and any(_forbidden(character) for character in key):
        return "holds a control or invisible character"
    if _DOT_SEGMENT.search(key):
        return "holds a . or .. segment"
    if len(key.encode()) > MAX_KEY_BYTES:
        return f"is longer than {MAX_KEY_BYTES} bytes"
    return None


@dataclass(frozen=True, slots=True)
class Template:
    """Text with `{placeholders}`, checked once when the definitions are read."""

    text: str
    names: frozenset[str]

    @classmethod
    def parse(cls, text: str, allowed: frozenset[str] = KEY_PLACEHOLDERS) -> Template:
        """Raises `InvalidTemplate` for unknown placeholders, stray braces and text that no key may hold."""
        names = frozenset(_PLACEHOLDER.findall(text))
        if unknown := sorted(names - allowed):
            known = " ".join(f"{{{name}}}" for name in sorted(allowed))
            raise InvalidTemplate(f"has the unknown placeholder {{{unknown[0]}}}; known here: {known}")
        plain = _PLACEHOLDER.sub("x", text)
        if "{" in plain or "}" in plain:
            raise InvalidTemplate("has a brace that belongs to no placeholder")
        if why := complaint(plain):
            raise InvalidTemplate(why)
        return cls(text, names)

    def expand(self, values: dict[str, str]) -> str:
        """The text with its placeholders replaced; where `{ext}` is empty, the dot before it goes too."""
        if not self.names:
            return self.text
        text = self.text if values.get("ext") else self.text.replace(".{ext}", "{ext}")
        return text.format_map(values)


def safe_filename(filename: str) -> str:
    """A client's file name as one readable path segment: NFC, no directories, no control or bidi characters.

    `$`, quotes and wildcards become `_`; at most 255 bytes, cut between characters and before the extension.
    An empty result becomes `file`.
    """
    if _USUAL_NAME.fullmatch(filename):
        return filename
    name = filename.replace("\\", "/").rsplit("/", 1)[-1]
    if not _PLAIN.fullmatch(name):
        name = "".join(c for c in unicodedata.normalize("NFC", name) if not _forbidden(c))
    name = name.translate(_UNSAFE)
    name = name.strip(" .") or "file"
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > MAX_EXTENSION_CHARACTERS:
        stem, extension = name, ""
    room = MAX_FILENAME_BYTES - len(extension.encode()) - 1
    stem = _cut(stem, room)
    return f"{stem}.{extension}" if extension else stem


def _cut(text: str, size_bytes: int) -> str:
    """At most `size_bytes` of UTF-8, never ending inside a character or before its combining marks."""
    encoded = text.encode()
    if len(encoded) <= size_bytes:
        return text
    cut = encoded[:size_bytes].decode(errors="ignore")
    rest = text[len(cut) :]
    while cut and rest and unicodedata.combining(rest[0]):
        rest = cut[-1] + rest
        cut = cut[:-1]
    return cut


@dataclass(frozen=True, slots=True)
class KeyNaming:
    """How an app names objects: a prefix, and below it a name of the client's choice or one that we give."""

    prefix: Template
    name: Template | None = None
    """None: the client chooses (policy `starts-with`); otherwise the exact key is prefix + name."""
    needs_caller: bool = field(init=False, compare=False)
    _caller_in_prefix: bool = field(init=False, compare=False, repr=False)
    _of_file: bool = field(init=False, compare=False, repr=False)
    _more_in_name: bool = field(init=False, compare=False, repr=False)
    """Whether the name holds what a prefix may hold too."""

    def __post_init__(self) -> None:
        of_name = frozenset() if self.name is None else self.name.names
        object.__setattr__(self, "_caller_in_prefix", "caller" in self.prefix.names)
        object.__setattr__(self, "_of_file", bool(of_name & _OF_FILE))
        object.__setattr__(self, "_more_in_name", bool(of_name & PREFIX_PLACEHOLDERS))
        object.__setattr__(self, "needs_caller", "caller" in self.prefix.names | of_name)

    @property
    def is_same_for_all(self) -> bool:
        """Whether it asks nothing of the caller or the file."""
        return self.name is None and not self.needs_caller

    def keys(self, *, app_id: str, caller: str | None, filename: str | None, now: datetime) -> tuple[str, str | None]:
        """The prefix, and the exact key or None when the client chooses.

        Raises `InvalidRequest` when the caller or file name can make no safe key.
        """
        if self.needs_caller and caller is None:
            raise _no_caller()
        day = now.toordinal()
        prefix = _prefix(self.prefix.text, app_id, caller if self._caller_in_prefix else None, day)
        name = self.name
        if name is None:
            return prefix, None
        values = _name_values(name, filename) if self._of_file else {"uuid": next(_UUIDS), "ext": ""}
        if self._more_in_name:
            values |= _prefix_values(app_id, caller if "caller" in name.names else None, day)
        key = prefix + name.expand(values)
        if (self._of_file or len(key) > _SURELY_SHORT_CHARACTERS) and (why := complaint(key)):
            raise _no_key(why)
        return prefix, key

    def owns(self, key: str, *, app_id: str, caller: str | None) -> bool:
        """Whether `key` lies below the prefix that this caller has, or had on another day."""
        known = {"app": re.escape(app_id)} | _DATES
        if "caller" in self.prefix.names:
            known["caller"] = re.escape(_safe_caller(caller))
        parts = _PLACEHOLDER.split(self.prefix.text)
        pattern = "".join(known[part] if index % 2 else re.escape(part) for index, part in enumerate(parts))
        match = re.match(pattern, key)
        return match is not None and complaint(key) is None and len(key) > match.end()


@lru_cache(maxsize=16_384)
def _prefix(text: str, app_id: str, caller: str | None, day: int) -> str:
    """Of callers who come again and again. Raises `InvalidRequest`."""
    prefix = text.format_map(_prefix_values(app_id, caller, day))
    if why := complaint(prefix):
        raise _no_key(why)
    return prefix


def _prefix_values(app_id: str, caller: str | None, day: int) -> dict[str, str]:
    values = {"app": app_id, **_date_values(day)}
    if caller is not None:
        values["caller"] = _safe_caller(caller)
    return values


def _no_key(why: str) -> InvalidRequest:
    return InvalidRequest(f"the object key made for this upload {why}; send a shorter or plainer filename")


def _safe_caller(caller: str | None) -> str:
    if caller is None or not _CALLER.fullmatch(caller) or caller.strip(".") == "":
        raise _no_caller()
    return caller


def _no_caller() -> InvalidRequest:
    return InvalidRequest("this caller's id cannot stand in an object key: use 1 to 128 of A-Z a-z 0-9 . _ @ = + : -")


@lru_cache(maxsize=8)
def _date_values(day: int) -> dict[str, str]:
    date = datetime.fromordinal(day)
    return {"yyyy": f"{date:%Y}", "mm": f"{date:%m}", "dd": f"{date:%d}"}


_VERSION = bytes(0x40 | byte & 0x0F for byte in range(256))
_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))


def _uuid4_hex() -> Iterator[str]:
    """Random UUIDs (RFC 9562, 5.4); the system is asked for the randomness of many at a time."""
    while True:
        block = bytearray(os.urandom(16 * 256))
        block[6::16] = block[6::16].translate(_VERSION)
        block[8::16] = block[8::16].translate(_VARIANT)
        digits = block.hex()
        for start in range(0, len(digits), 32):
            yield digits[start : start + 32]


_UUIDS = _uuid4_hex()


def _name_values(name: Template, filename: str | None) -> dict[str, str]:
    if filename is None and name.names & {"filename", "stem"}:
        raise InvalidRequest("this app names objects after the file: send filename")
    safe = safe_filename(filename) if filename is not None else ""
    stem, dot, extension = safe.rpartition(".")
    return {
        "uuid": next(_UUIDS),
        "filename": safe,
        "stem": stem if dot else safe,
        "ext": extension.lower() if dot else "",
    }
