"""Whether a key could be one of an app's: its prefix, and its name where the app gives it, for any caller and day."""

from __future__ import annotations

import re
from functools import lru_cache

from signer.signing.object_key import MAX_KEY_BYTES, KeyNaming, Template

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SHAPES = {
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
    """Where the client names the object, any name below the prefix will do, as it will for OSS."""
    return len(key.encode()) <= MAX_KEY_BYTES and _pattern(naming, app_id).fullmatch(key) is not None


@lru_cache(maxsize=4096)
def _pattern(naming: KeyNaming, app_id: str) -> re.Pattern[str]:
    name = ".+" if naming.name is None else _shape(naming.name, app_id)
    return re.compile(_shape(naming.prefix, app_id) + name, re.DOTALL)


def _shape(template: Template, app_id: str) -> str:
    # Where {ext} is empty, the dot before it is left out.
    parts = _PLACEHOLDER.split(template.text.replace(".{ext}", "{.ext}"))
    shapes = {**_SHAPES, "app": re.escape(app_id), ".ext": r"(?:\.[^/]+)?"}
    return "".join(shapes[part] if index % 2 else re.escape(part) for index, part in enumerate(parts))
