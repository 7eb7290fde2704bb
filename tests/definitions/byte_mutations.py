"""Mutations of a file's bytes: typing mistakes, half-written files, failed merges."""

from __future__ import annotations

import random
from collections.abc import Callable

LITERAL = "Wx9dkQ2mZt7LpR4vB8nC1sYf6HjK3a"
"""A secret in clear with the shape of an AccessKey secret."""
TOKENS = [
    *(
        ": ",
        ":",
        "- ",
        "? ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "*a",
        "*l",
        "&a ",
        "!!python/x ",
        "!",
        "|",
        ">",
        "'",
        '"',
        "#",
        "%",
    ),
    *(
        "@",
        "`",
        "<<: *d",
        "---\n",
        "...\n",
        "\n",
        "\r",
        "\t",
        " ",
        "\0",
        "\x1b",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        "\u200b",
    ),
    *(
        "：",
        "\u3000",
        "\u00a0",
        "${",
        "${X}",
        "${SECRET}",
        "${file:/nowhere}",
        "${file:/dev/zero}",
        "\\",
        "~",
        "null",
        "yes",
    ),
    *(
        "0644",
        "1:30",
        ".inf",
        "1e9",
        "-1",
        "2026-12-31",
        "999999999999999999999999",
        "version: 1\n",
        "apps: {}\n",
        LITERAL,
    ),
]

Mutation = Callable[[random.Random, bytes], bytes]


def _random_span(rng: random.Random, data: bytes, longest: int = 40) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randrange(1, longest))


def flip(rng: random.Random, data: bytes) -> bytes:
    start, end = _random_span(rng, data, 4)
    return data[:start] + bytes(rng.randrange(256) for _ in range(end - start)) + data[end:]


def insert(rng: random.Random, data: bytes) -> bytes:
    start, _ = _random_span(rng, data)
    return data[:start] + rng.choice(TOKENS).encode() * rng.choice((1, 1, 1, 2, 50)) + data[start:]


def replace(rng: random.Random, data: bytes) -> bytes:
    start, end = _random_span(rng, data)
    return data[:start] + rng.choice(TOKENS).encode() + data[end:]


def delete(rng: random.Random, data: bytes) -> bytes:
    start, end = _random_span(rng, data)
    return data[:start] + data[end:]


def repeat(rng: random.Random, data: bytes) -> bytes:
    start, end = _random_span(rng, data, 120)
    return data[:end] + data[start:end] * rng.choice((1, 2, 30)) + data[end:]


def move_lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    moved = lines.pop(rng.randrange(len(lines))) if lines else b""
    lines.insert(rng.randrange(len(lines) + 1), b" " * rng.randrange(4) + moved)
    return b"".join(lines)


def drop_lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    start = rng.randrange(len(lines) + 1)
    return b"".join(lines[:start] + lines[start + rng.randrange(1, 4) :])


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def splice(rng: random.Random, data: bytes) -> bytes:
    return cut(rng, data) + data[rng.randrange(len(data) + 1) :]


MUTATIONS: list[Mutation] = [flip, insert, replace, delete, repeat, move_lines, drop_lines, cut, splice]


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return the data after one to four mutations."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(MUTATIONS)(rng, data)
    return data
