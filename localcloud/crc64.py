"""CRC-64 as in `x-oss-hash-crc64ecma`: ECMA-182, reflected.

See: https://help.aliyun.com/zh/oss/developer-reference/check-data-transmission-integrity-by-using-crc-64
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import crcmod

_POLYNOMIAL = 0x142F0E1EBA9EA3693
_BITS = 64
_REFLECTED = int(f"{_POLYNOMIAL & (2**_BITS - 1):064b}"[::-1], 2)

Matrix = tuple[int, ...]
"""A linear map of 64-bit values: the image of each bit."""


def crc64() -> crcmod.Crc:
    """Return a running CRC-64."""
    return crcmod.Crc(_POLYNOMIAL, initCrc=0, rev=True, xorOut=2**_BITS - 1)


def combine(pieces: Iterable[tuple[int, int]]) -> int:
    """Return the CRC-64 of joined data from the (CRC-64, size in bytes) of its pieces, as zlib's crc32_combine does."""
    total = 0
    for crc, size_bytes in pieces:
        total = _apply(_zeros(size_bytes), total) ^ crc
    return total


@lru_cache(maxsize=64)
def _zeros(size_bytes: int) -> Matrix:
    """Return what this many zero bytes do to a CRC. Parts of an upload have few different sizes."""
    square: Matrix = (_REFLECTED, *(1 << bit for bit in range(_BITS - 1)))
    product: Matrix = tuple(1 << bit for bit in range(_BITS))
    bits = size_bytes * 8
    while bits:
        if bits & 1:
            product = tuple(_apply(square, row) for row in product)
        bits >>= 1
        if bits:
            square = tuple(_apply(square, row) for row in square)
    return product


def _apply(matrix: Matrix, value: int) -> int:
    image = 0
    for row in matrix:
        if not value:
            break
        if value & 1:
            image ^= row
        value >>= 1
    return image
