"""Draws the pictures that the tests upload."""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Callable

from playwright.async_api import FilePayload

Pixel = tuple[int, int, int]


def png(width: int, height: int, paint: Callable[[float, float], Pixel]) -> bytes:
    """Return a PNG file; `paint` returns the colour at x and y from 0 to 1."""
    rows = b"".join(b"\0" + b"".join(bytes(paint(x / width, y / height)) for x in range(width)) for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def mix(a: Pixel, b: Pixel, share: float) -> Pixel:
    """Return a colour between two."""
    share = min(1.0, max(0.0, share))
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def landscape(top: Pixel, bottom: Pixel, ground: Pixel, sun: tuple[float, float]) -> Callable[[float, float], Pixel]:
    """Return a painter of a sky, a sun and three ranges of hills."""

    def paint(x: float, y: float) -> Pixel:
        colour = mix(top, bottom, y * 1.5)
        distance = math.hypot((x - sun[0]) * 4 / 3, y - sun[1])
        colour = mix((255, 248, 225), colour, (distance - 0.075) / 0.006 if distance < 0.082 else 0.55 + distance)
        for depth in range(3):
            ridge = 0.58 + depth * 0.13 + 0.06 * math.sin(x * (5 + 2 * depth) + depth * 2 + sun[0] * 9)
            if y > ridge:
                colour = mix(mix(bottom, ground, 0.45 + depth * 0.27), ground, (y - ridge) * 1.2)
        return colour

    return paint


def picture(name: str, seed: int = 0) -> FilePayload:
    """Return a small picture as a file to pick; each seed gives another one."""
    data = png(48, 36, lambda x, y: (round(255 * x), round(255 * y), (seed * 53) % 256))
    return {"name": name, "mimeType": "image/png", "buffer": data}


def noise(name: str, size_bytes: int) -> FilePayload:
    """Return random bytes as a file to pick."""
    return {"name": name, "mimeType": "image/png", "buffer": os.urandom(size_bytes)}
