"""Generates the media types of file name extensions from mime-db: `python -m tools.content_types`, after `npm ci`.

See: https://github.com/jshttp/mime-db
"""

from __future__ import annotations

import json
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
LIBRARY = _ROOT / "miniprogram" / "upload"
PYTHON = _ROOT / "signer" / "signing" / "types_by_extension.py"

_LICENCE = "MIT licence, (c) Jonathan Ong, Douglas Christopher Wilson"
_FACETS = ("prs.", "x-", "x.", "vnd.")
_SOURCES = ("nginx", "apache", None, "iana")
_KINDS = ("application", "font", "audio", "video")


def types_by_extension(database: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return one type for each extension: of several, the most official one, as npm's mime-types does.

    See: https://github.com/jshttp/mime-types/blob/v3.0.2/mimeScore.js
    """

    def rank(content_type: str) -> tuple[bool, int, int, int, int]:
        kind, _, subtype = content_type.partition("/")
        facet = next((place for place, facet in enumerate(_FACETS) if subtype.startswith(facet)), len(_FACETS))
        source = _SOURCES.index(database[content_type].get("source"))
        order = _KINDS.index(kind) if kind in _KINDS else -1
        return content_type != "application/octet-stream", facet, source, order, -len(content_type)

    candidates = defaultdict(list)
    for content_type, entry in database.items():
        for extension in entry.get("extensions", ()):
            candidates[extension].append(content_type)
    return {extension: max(types, key=rank) for extension, types in sorted(candidates.items())}


def python_module(types: dict[str, str], note: str) -> str:
    """Return the module with all types: for each kind, its subtypes with their extensions."""
    kinds: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for extension, content_type in types.items():
        kind, _, subtype = content_type.partition("/")
        kinds[kind][subtype].append(extension)
    lines = ['"""The media types of file name extensions.', "", note, '"""', "", "TYPES = {"]
    for kind, subtypes in sorted(kinds.items()):
        entries = " ".join(f"{subtype}:{','.join(extensions)}" for subtype, extensions in sorted(subtypes.items()))
        wrapped = textwrap.wrap(entries, 120, break_long_words=False, break_on_hyphens=False)
        lines += [f'    "{kind}": """', *wrapped, '""",']
    return "\n".join([*lines, "}", '"""By kind: each subtype with its extensions."""', ""])


def module() -> str:
    """Return the text of the module."""
    package = LIBRARY / "node_modules" / "mime-db"
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    types = types_by_extension(json.loads((package / "db.json").read_text(encoding="utf-8")))
    return python_module(types, f"Generated from mime-db {version} ({_LICENCE}) by tools/content_types.py.")


if __name__ == "__main__":
    PYTHON.write_text(module(), encoding="utf-8")
