"""What the list operations have in common: limits, markers, delimiters and encoding of keys.

See: https://help.aliyun.com/zh/oss/developer-reference/listmultipartuploads and .../listobjectsv2
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote

from localcloud.integers import parse_integer
from localcloud.oss_errors import invalid_argument
from localcloud.oss_xml import elements

Entry = TypeVar("Entry")


def encoder(query: Mapping[str, str]) -> tuple[Callable[[str], str], str | None]:
    """Return the function that encodes keys, and the value of the element EncodingType."""
    encoding = query.get("encoding-type")
    if encoding is None:
        return str, None
    if encoding != "url":
        raise invalid_argument("Invalid Encoding Method specified in Request.", "", "encoding-type", encoding)
    return _url_encode, encoding


def limit(query: Mapping[str, str], name: str, default: int = 1000, ec: str = "") -> int:
    """Return the number of entries of a page. Raise InvalidArgument unless it is from 1 to 1000."""
    text = query.get(name, str(default))
    found = parse_integer(text, 1000)
    if not found:
        message = f"Argument {name} must be an integer between 1 and 1000."
        raise invalid_argument(message, ec, name, text)
    return found


@dataclass(slots=True)
class Page(Generic[Entry]):
    """Entries and common prefixes, which count the same."""

    entries: list[Entry] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    is_truncated: bool = False
    last: Entry | str | None = None
    """The last entry or common prefix."""

    def prefix_elements(self, encode: Callable[[str], str]) -> str:
        return "".join(
            f"<CommonPrefixes>{elements({'Prefix': encode(each)})}</CommonPrefixes>" for each in self.prefixes
        )


def page_of(entries: Iterable[tuple[str, Entry]], *, most: int, prefix: str, delimiter: str, after: str) -> Page[Entry]:
    """Return the first page of sorted entries with their keys, which are all behind the marker `after`."""
    page: Page[Entry] = Page()
    for key, entry in entries:
        if not key.startswith(prefix):
            continue
        group = _common_prefix(key, prefix, delimiter)
        if group is not None and (group == after or group in page.prefixes[-1:]):
            continue
        if len(page.entries) + len(page.prefixes) == most:
            page.is_truncated = True
            break
        if group is None:
            page.entries.append(entry)
            page.last = entry
        else:
            page.prefixes.append(group)
            page.last = group
    return page


def _common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """Return the key up to the first delimiter after the prefix; None if there is none."""
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return None if end < 0 else key[: end + len(delimiter)]


def _url_encode(key: str) -> str:
    return quote(key, safe="")
