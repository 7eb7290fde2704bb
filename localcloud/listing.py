"""What the list operations have in common: limits, markers, delimiters and encoding of keys.

See: https://help.aliyun.com/zh/oss/developer-reference/listmultipartuploads and .../listobjectsv2
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

from localcloud.oss_errors import invalid_argument


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
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:5]) <= 1000:
        message = f"Argument {name} must be an integer between 1 and 1000."
        raise invalid_argument(message, ec, name, text)
    return int(text)


def common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """Return the key up to the first delimiter after the prefix; None if there is none."""
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return None if end < 0 else key[: end + len(delimiter)]


def _url_encode(key: str) -> str:
    return quote(key, safe="")
