"""Texts without what looks like a secret, for messages and excerpts."""

from __future__ import annotations

import re

MASK = "***"

URL_PASSWORD = re.compile(r"(?<=://)[^\s/@]+(?=@)")
"""User and password in a URL."""

_LONG_WORD = re.compile(r"[A-Za-z0-9+=_-]{20,}", re.ASCII)


def looks_secret(text: str) -> bool:
    """Return whether the text holds a word with the shape of an AccessKey secret or a token."""
    return secret_start(text) is not None


def secret_start(text: str) -> int | None:
    """Return the offset of the first word that looks like a secret."""
    return next((word.start() for word in _LONG_WORD.finditer(text) if _is_mixed(word[0])), None)


def mask_secrets(text: str) -> str:
    """Return the text with every word masked that looks like a secret."""
    return _LONG_WORD.sub(lambda word: MASK if _is_mixed(word[0]) else word[0], text)


def _is_mixed(word: str) -> bool:
    return any(c.isdigit() for c in word) and any(c.isupper() for c in word) and any(c.islower() for c in word)
