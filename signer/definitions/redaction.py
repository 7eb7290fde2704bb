"""Texts without what looks like a secret, for messages and excerpts."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import SequenceMatcher

MASK = "***"

URL_PASSWORD = re.compile(r"(?<=://)[^\s/@]+(?=@)")
"""User and password in a URL."""

MAX_QUOTED = 60
_QUOTED = re.compile(f'"([^"]{{0,{MAX_QUOTED}}})…?"')
_MIN_SECRET_CHARACTERS, _MIN_PART_CHARACTERS = 3, 8
"""A shorter value is not a secret; a shorter part of one gives nothing away."""

_LONG_WORD = re.compile(r"[A-Za-z0-9+=_-]{20,}", re.ASCII)


def looks_secret(text: str) -> bool:
    """Return whether the text contains a word with the shape of an AccessKey secret or a token."""
    return secret_start(text) is not None


def secret_start(text: str) -> int | None:
    """Return the offset of the first word that looks like a secret."""
    return next((word.start() for word in _LONG_WORD.finditer(text) if _is_mixed(word[0])), None)


def mask_secrets(text: str) -> str:
    """Return the text with every word masked that looks like a secret."""
    return _LONG_WORD.sub(lambda word: MASK if _is_mixed(word[0]) else word[0], text)


def mask_parts(message: str, secret: str) -> str:
    """Return the message without a secret and without longer parts of it, such as its shortened beginning."""
    smallest = max(min(len(secret), _MIN_PART_CHARACTERS), _MIN_SECRET_CHARACTERS)
    matcher = SequenceMatcher(None, b=secret, autojunk=False)
    shown = ""
    while True:
        matcher.set_seq1(message)
        part = matcher.find_longest_match()
        if part.size < smallest:
            return shown + message
        shown, message = f"{shown}{message[: part.a]}{MASK}", message[part.a + part.size :]


def mask_quoted(message: str, secrets: Collection[str]) -> str:
    """Return the message with each text that it quotes masked if it is among the secrets, shortened to MAX_QUOTED."""
    return _QUOTED.sub(lambda match: f'"{MASK}"' if match[1] in secrets else match[0], message)


def quote(value: object) -> str:
    """Return a value as a message may repeat it: short, in quotes, printable, and without secrets."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)[:MAX_QUOTED]
    if not isinstance(value, str) or "\n" in value.strip() or value.startswith("-----"):
        return "this value"
    text = mask_secrets(URL_PASSWORD.sub(MASK, value))
    text = "".join(character if character.isprintable() else f"<U+{ord(character):04X}>" for character in text)
    return f'"{text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"}"'


def _is_mixed(word: str) -> bool:
    return any(c.isdigit() for c in word) and any(c.isupper() for c in word) and any(c.islower() for c in word)
