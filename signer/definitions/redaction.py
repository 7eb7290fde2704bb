"""Texts that may be shown: without what looks like a secret, short, and printable."""

import re
from collections.abc import Collection
from difflib import SequenceMatcher

MASK = "***"

URL_PASSWORD = re.compile(
    r"(?<=://)[^\s/@]+(?=@)"
    r"|(?:(?<=[?&_-]password=)|(?<=[?&_-]token=)|(?<=[?&_-]secret=)|(?<=[?&_-]sign=)|(?<=[?&_-]signature=)"
    r"|(?<=[?&]code=)|(?<=[?&]apikey=)|(?<=[_-]key=))[^\s&#]+",
    re.IGNORECASE,
)
"""User and password in a URL, and what is secret in its query, such as a password or the token of a webhook."""

MAX_QUOTED = 60
_QUOTED = re.compile(f'"([^"]{{0,{MAX_QUOTED}}})…?"')
_MIN_SECRET_CHARACTERS, _MIN_PART_CHARACTERS = 3, 8
"""A shorter value is not a secret; a shorter part of one gives nothing away."""

_LONG_WORD = re.compile(r"[A-Za-z0-9+=_-]{20,}", re.ASCII)
_NAME = re.compile(r"[\w.$@!{}*/-]{1,60}")


def secret_start(text: str) -> int | None:
    """Return the offset of the first word with the shape of an AccessKey secret or a token."""
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
    text = visible(mask_secrets(URL_PASSWORD.sub(MASK, value)))
    return f'"{text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"}"'


def printable_name(name: str) -> str:
    """Return a name from a file as a message may show it: short, printable, and masked if it looks like a secret."""
    if secret_start(name) is not None:
        return MASK
    name = name.strip()
    match = _NAME.match(name)
    start = match[0] if match else ""
    return start if start == name else f"{start}…"


def visible(text: str) -> str:
    """Return the text with the code of each character that is invisible or controls a terminal."""
    return "".join(character if character.isprintable() else f"<U+{ord(character):04X}>" for character in text)


def _is_mixed(word: str) -> bool:
    return any(c.isdigit() for c in word) and any(c.isupper() for c in word) and any(c.islower() for c in word)
