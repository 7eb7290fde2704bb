"""Decide whether an object key can be one of an app, or of one caller of it."""

import re
from collections.abc import Callable
from functools import lru_cache

from signer.errors import Forbidden, InvalidRequest, Problem
from signer.signing.object_key import MAX_KEY_BYTES, PLACEHOLDER, KeyNaming, Template, caller_hash, check_caller

_PATTERNS = {
    "caller": r"(?!\.+(?:/|$))[A-Za-z0-9._@=+:-]{1,128}",
    "caller_hash": "[0-9a-f]{32}",
    "yyyy": "[0-9]{4}",
    "mm": "(?:0[1-9]|1[0-2])",
    "dd": "(?:0[1-9]|[12][0-9]|3[01])",
    "uuid": "[0-9a-f]{32}",
    "filename": "[^/]+",
    "stem": "[^/]+",
    "ext": "[^/]*",
}
_STORABLE_KEY = re.compile(r"[^/\\\ud800-\udfff][^\ud800-\udfff]*")
_DOT_SEGMENT = re.compile(r"(?:^|/)\.\.?(?:/|\Z)")
"""HTTP clients remove these segments from a URL, so no signed URL reads such a key.

See: https://www.rfc-editor.org/rfc/rfc3986#section-5.2.4
"""


def is_key_of_app(naming: KeyNaming, key: str, *, app_id: str) -> bool:
    """Return whether a form of the app can have uploaded `key`, for any caller and day.

    Where the client chooses the name, any name below the prefix is possible, as it is for OSS.
    """
    return _is_storable(key) and _key_pattern(naming, app_id).fullmatch(key) is not None


def is_key_of_caller(naming: KeyNaming, key: str, *, app_id: str, caller: str | None) -> bool:
    """Return whether `key` is below the prefix that this caller has, or had on another day.

    Raises `InvalidRequest` if the prefix needs a caller and this one cannot be part of a key.
    """
    return keys_of_caller(naming, app_id=app_id, caller=caller)(key)


def keys_of_caller(naming: KeyNaming, *, app_id: str, caller: str | None) -> Callable[[str], bool]:
    """Return a function that decides whether a key is below the prefix that this caller has, or had on another day.

    Where the client chooses the name, OSS checks the prefix only. So each key that OSS can store there is the caller's,
    whatever its characters, and what the caller uploaded can be downloaded.

    Raises `InvalidRequest` if the prefix needs a caller and this one cannot be part of a key.
    """
    values = {"app": app_id}
    if "caller" in naming.prefix.names:
        values["caller"] = check_caller(caller)
    if "caller_hash" in naming.prefix.names:
        values["caller_hash"] = caller_hash(caller)
    prefix = re.compile(_template_pattern(naming.prefix, values))

    def is_own(key: str) -> bool:
        match = prefix.match(key)
        return match is not None and _is_readable_below(key, match.end())

    return is_own


def keys_below(prefixes: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a function that decides whether a key is below one of these prefixes, which end with a slash."""

    def is_below(key: str) -> bool:
        return any(key.startswith(prefix) and _is_readable_below(key, len(prefix)) for prefix in prefixes)

    return is_below


def key_refusal(key: str) -> Problem:
    """Return the refusal of a key that the caller may neither read nor delete."""
    if len(key.encode(errors="surrogatepass")) > MAX_KEY_BYTES:
        return InvalidRequest(f"key is longer than {MAX_KEY_BYTES:,} bytes, the limit of OSS; no object has it")
    if _DOT_SEGMENT.search(key):
        return Forbidden("key has a segment . or .., which HTTP clients remove from URLs; send the key of an object")
    return Forbidden("key is not below the prefix of this caller; send a key that its upload returned")


def _is_readable_below(key: str, prefix_length: int) -> bool:
    """Return whether a signed URL can read this key, which is longer than its prefix."""
    return len(key) > prefix_length and _is_storable(key) and _DOT_SEGMENT.search(key) is None


def _is_storable(key: str) -> bool:
    """Return whether OSS can store an object with this key."""
    return _STORABLE_KEY.fullmatch(key) is not None and len(key.encode()) <= MAX_KEY_BYTES


@lru_cache(maxsize=4096)
def _key_pattern(naming: KeyNaming, app_id: str) -> re.Pattern[str]:
    values = {"app": app_id}
    name = ".+" if naming.name is None else _template_pattern(naming.name, values)
    return re.compile(_template_pattern(naming.prefix, values) + name, re.DOTALL)


def _template_pattern(template: Template, values: dict[str, str]) -> str:
    """Return a regular expression of what the template expands to, with `values` for some of its placeholders."""
    # An empty {ext} also removes the dot before it, so the two are one optional part.
    parts = PLACEHOLDER.split(template.text.replace(".{ext}", "{.ext}"))
    fixed = {name: re.escape(value) for name, value in values.items()}
    patterns = {**_PATTERNS, **fixed, ".ext": r"(?:\.[^/]+)?"}
    return "".join(patterns[part] if index % 2 else re.escape(part) for index, part in enumerate(parts))
