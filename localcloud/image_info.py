"""Reads format and size of a PNG, GIF or JPEG image from its first bytes, for `${imageInfo.*}` of callbacks."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD_BYTES = 256 * 1024
"""The size of a JPEG follows its EXIF data, which may be long."""

_SIZELESS = frozenset({0x01, *range(0xD0, 0xDA)})
"""JPEG markers without a length."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers before a frame header, which holds the size."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    format: str
    width: int
    height: int


def image_info(head: bytes) -> ImageInfo | None:
    """Return None if the data is not an image, or ends before its size."""
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
            return ImageInfo("png", *struct.unpack_from(">II", head, 16))
        if head[:6] in (b"GIF87a", b"GIF89a"):
            return ImageInfo("gif", *struct.unpack_from("<HH", head, 6))
        if head.startswith(b"\xff\xd8"):
            return _jpeg(head)
    except (struct.error, IndexError):
        pass
    return None


def _jpeg(head: bytes) -> ImageInfo | None:
    at = 2
    while head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _SIZELESS:
            at += 2
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return ImageInfo("jpg", width, height)
        else:
            (length,) = struct.unpack_from(">H", head, at + 2)
            at += 2 + length
    return None
