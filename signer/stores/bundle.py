"""Several files as one text, each after a heading `# file: NAME`, for stores that hold a single text.

A directory can so be pushed into one Redis key, and the output of `pull` can be pushed again.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePath

from signer.stores.protocol import CannotUseText, CannotWrite, Snapshot

MAX_BYTES = 16 * 2**20

_HEADING = re.compile(r"^# file: (\S.*?)\s*$", re.MULTILINE)


def text_revision(data: bytes) -> str:
    """Return the SHA-1 of a text in hex, which Redis can compute itself."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def parse_snapshot(location: str, data: bytes) -> Snapshot:
    """Decode a text and split it into its files, as `decode` and `split_files` do; blocks for some milliseconds."""
    return Snapshot(split_files(location, decode(location, data)), text_revision(data))


def too_large(location: str) -> CannotUseText:
    """Return the error for a text of more than `MAX_BYTES`."""
    return CannotUseText(
        f"{location}: is larger than {MAX_BYTES // 2**20} MiB; use fewer apps, or a directory of files"
    )


def decode(location: str, data: bytes) -> str:
    """Decode a UTF-8 text, with or without a byte order mark; raise `CannotUseText` if it is not UTF-8 or too large."""
    if len(data) > MAX_BYTES:
        raise too_large(location)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CannotUseText(f"{location}: not UTF-8 at byte {error.start}; save it as UTF-8") from None


def split_files(name: str, text: str) -> dict[str, str]:
    """Return the texts of the files in a bundle by `name#FILE`; raise `CannotUseText` if two have the same name.

    A text that does not start with a heading is one file called `name`, whatever comments it contains.
    """
    if not _HEADING.match(text):
        return {name: text}
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    files: dict[str, str] = {}
    for heading, end in zip(headings, ends, strict=True):
        file = f"{name}#{heading[1]}"
        if file in files:
            raise CannotUseText(f"{name}: two files are called '{heading[1]}'; rename one in its '# file:' heading")
        files[file] = text[heading.end() + 1 : end]
    return files


def join_files(files: Mapping[str, str]) -> str:
    """Return files as one text, a single one unchanged; raise `CannotWrite` if a line would be read as a heading."""
    if len(files) == 1:
        return next(iter(files.values()))
    parts = []
    for name, text in sorted(files.items()):
        if _HEADING.search(text):
            raise CannotWrite(f"{name}: contains a line '# file: ...', which starts a new file; change that comment")
        end = "" if text.endswith("\n") else "\n"
        parts.append(f"# file: {PurePath(name.rpartition('#')[2]).name}\n{text}{end}")
    return "".join(parts)
