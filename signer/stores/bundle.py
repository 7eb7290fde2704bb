"""What a store that holds one text makes of it: one file, or several behind `# file: NAME` headings.

So a directory can be pushed into one Redis key, and what `pull` prints can be pushed again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePath

from signer.stores.protocol import CannotRead, CannotWrite, Snapshot

MAX_BYTES = 16 * 2**20

_HEADING = re.compile(r"^# file: (\S.*?)\s*$", re.MULTILINE)


def revision(data: bytes) -> str:
    """The SHA-1 of what the store holds: Redis can work it out itself."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def snapshot(location: str, data: bytes) -> Snapshot:
    """Raises `CannotRead`. Blocks for a few milliseconds when it is large."""
    if len(data) > MAX_BYTES:
        raise too_large(location)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CannotRead(f"{location}: is no UTF-8 text at byte {error.start}; save it as UTF-8") from None
    return Snapshot(split(location, text), revision(data))


def too_large(location: str) -> CannotRead:
    return CannotRead(f"{location}: is larger than {MAX_BYTES // 2**20} MiB")


def split(name: str, text: str) -> dict[str, str]:
    """The files in a text, by name; `name#FILE` where it has headings, which only count when it begins with one.

    Raises `CannotRead`.
    """
    if not _HEADING.match(text):
        return {name: text}
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    files: dict[str, str] = {}
    for heading, end in zip(headings, ends, strict=True):
        file = f"{name}#{heading[1]}"
        if file in files:
            raise CannotRead(f"{name}: has two files '{heading[1]}'; give one another name in its '# file:' line")
        files[file] = text[heading.end() + 1 : end]
    return files


def join(files: Mapping[str, str]) -> str:
    """One text of several files, in the order of their names; one file is its own text. Raises `CannotWrite`."""
    if len(files) == 1:
        return next(iter(files.values()))
    parts = []
    for name, text in sorted(files.items()):
        if _HEADING.search(text):
            raise CannotWrite(f"{name}: has a line '# file: ...', which marks where a file begins; write it otherwise")
        end = "" if text.endswith("\n") else "\n"
        parts.append(f"# file: {PurePath(name.rpartition('#')[2]).name}\n{text}{end}")
    return "".join(parts)
