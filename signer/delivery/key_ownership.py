"""Decide whether an object key can be one of an app: for any caller and day, by its prefix and its name template."""

from __future__ import annotations

import re
from functools import lru_cache

from signer.signing.object_key import MAX_KEY_BYTES, KeyNaming, Template

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PATTERNS = {
    "caller": r"(?!\.+(?:/|$))[A-Za-z0-9._@=+:-]{1,128}",
    "yyyy": "[0-9]{4}",
    "mm": "(?:0[1-9]|1[0-2])",
    "dd": "(?:0[1-9]|[12][0-9]|3[01])",
    "uuid": "[0-9a-f]{32}",
    "filename": "[^/]+",
    "stem": "[^/]+",
    "ext": "[^/]*",
}


def is_key_of_app(naming: KeyNaming, app_id: str, key: str) -> bool:
    """Return whether a form of the app can have uploaded `key`.

    Where the client chooses the name, any name below the prefix is possible, as it is for OSS.
    """
    return len(key.encode()) <= MAX_KEY_BYTES and _key_pattern(naming, app_id).fullmatch(key) is not None


@lru_cache(maxsize=4096)
def _key_pattern(naming: KeyNaming, app_id: str) -> re.Pattern[str]:
    name = ".+" if naming.name is None else _template_pattern(naming.name, app_id)
    return re.compile(_template_pattern(naming.prefix, app_id) + name, re.DOTALL)


def _template_pattern(template: Template, app_id: str) -> str:
    # An empty {ext} also removes the dot before it, so the two are one optional part.
    parts = _PLACEHOLDER.split(template.text.replace(".{ext}", "{.ext}"))
    patterns = {**_PATTERNS, "app": re.escape(app_id), ".ext": r"(?:\.[^/]+)?"}
    return "".join(patterns[part] if index % 2 else re.escape(part) for index, part in enumerate(parts))
