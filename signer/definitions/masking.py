"""What in a text of definitions is secret, and must not be shown even where the text is broken."""

from __future__ import annotations

import bisect
import difflib
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import get_args

from pydantic import BaseModel, SecretStr

from signer.definitions import model

MASK = "***"
Span = tuple[int, int]
"""From and to, as offsets in the text."""


def _secret_keys(entry: type[BaseModel]) -> Iterator[str]:
    for subclass in entry.__subclasses__():
        yield from _secret_keys(subclass)
    for name, field in entry.model_fields.items():
        if field.annotation is SecretStr or SecretStr in get_args(field.annotation):
            yield name


SECRET_KEYS = frozenset(_secret_keys(model.Entry))
"""Keys whose values are secret, by the models."""

_NO_SECRETS = frozenset({"access_key_id", "token_file"})
_SOUNDS_SECRET = re.compile(r"secret|passw|passphrase|token|private_?key|api_?key|credential_?value", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.-]{3,}", re.ASCII)
_LOOKS_SECRET = re.compile(r"[A-Za-z0-9+=_-]{20,}", re.ASCII)
_URL_PASSWORD = re.compile(r"(?<=://)[^\s/@]+(?=@)")
_REFERENCE = re.compile(r"\$\{(?:[A-Za-z_][A-Za-z0-9_]*|file:[^}\s]*)\}", re.ASCII)
_SEPARATOR = re.compile(r"[\"']?(?:\s*([:=：])[ \t]*|(?=[ \t\"'])[ \t]*)(?:[&!][^\s,\]}]*[ \t]+)*")
_KEY_LINE = re.compile(r"[ ]*(?:-[ ]+|\?[ ]+)*(?:#|---|\.\.\.|[\"']?[\w.@/-]+[\"']?[ ]*:(?:\s|$))")
_NEXT_IN_FLOW = re.compile(r",\s*[\"']?[\w.-]+[\"']?\s*:(?:\s|$)|[}\]][\s}\]]*(?:,|#|$)")
_ANCHOR = re.compile(r"&([^\s,\[\]{}]+)\s+")
_REST_OF_LINE = re.compile(r"[^\s].*")
_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")


def lines_of(text: str) -> list[Span]:
    """Each line without its break, as YAML counts lines."""
    spans, start = [], 0
    for match in _BREAK.finditer(text):
        spans.append((start, match.start()))
        start = match.end()
    return [*spans, (start, len(text))]


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a key of this name, even a misspelt one, holds a secret."""
    lower = name.lower().replace("-", "_")
    if lower in SECRET_KEYS:
        return True
    if lower in _NO_SECRETS:
        return False
    if _SOUNDS_SECRET.search(lower):
        return True
    return bool(difflib.get_close_matches(lower, SECRET_KEYS, n=1, cutoff=0.8))


def looks_secret(word: str) -> bool:
    """Whether a word has the shape of an AccessKey secret or a token: long, and of mixed letters and digits."""
    return any(_mixed(found[0]) for found in _LOOKS_SECRET.finditer(word))


def mask_secrets(text: str) -> str:
    """The text with every word masked that has the shape of a secret."""
    return _LOOKS_SECRET.sub(lambda found: MASK if _mixed(found[0]) else found[0], text)


def _mixed(word: str) -> bool:
    return any(c.isdigit() for c in word) and any(c.isupper() for c in word) and any(c.islower() for c in word)


def secret_spans(text: str) -> list[Span]:
    """Where secrets stand in a text, whether or not it is valid YAML. In doubt more is taken for secret than is."""
    lines = lines_of(text)
    spans: list[Span] = []
    end = 0
    for word in _WORD.finditer(text):
        if word.start() >= end and is_secret_name(word[0]) and (start := _value_start(text, word)) is not None:
            end = _value_end(text, start, word.start(), lines)
            spans += _without_references(text, start, end)
    aliases = {text[start + 1 : end].split()[0] for start, end in spans if re.match(r"\*\S", text[start:end])}
    for anchor in _ANCHOR.finditer(text) if aliases else ():
        if anchor[1] in aliases:
            spans.append((anchor.end(), _value_end(text, anchor.end(), anchor.start(), lines)))
    spans += [match.span() for match in _LOOKS_SECRET.finditer(text) if _mixed(match[0])]
    spans += [match.span() for match in _URL_PASSWORD.finditer(text)]
    return [piece for span in _joined(spans) for piece in _lines_in(text, span)]


def _value_start(text: str, name: re.Match[str]) -> int | None:
    """Where the value of a key begins. A long name needs no colon behind it: that may be what is wrong."""
    separator = _SEPARATOR.match(text, name.end())
    if separator is None or not (separator[1] or "_" in name[0] or "-" in name[0]):
        return None
    return separator.end()


def _value_end(text: str, start: int, key: int, lines: list[Span]) -> int:
    """Where the value that begins at `start` surely ends; its key begins at `key`."""
    key_line = lines[_line_number(lines, key)]
    before = text[key_line[0] : key]
    indent = len(before) - len(before.lstrip(" "))
    rest = start
    if text[start : start + 1] in ("'", '"'):
        rest = _closing(text, start + 1, text[start])
    number = _line_number(lines, rest)
    end = lines[number][1]
    if any(mark in before for mark in "{[,") and (following := _NEXT_IN_FLOW.search(text, rest, end)):
        return following.start()
    for line_start, line_end in islice(lines, number + 1, None):
        line = text[line_start:line_end]
        deeper = len(line) - len(line.lstrip(" ")) > indent
        if line.strip() and not deeper and _KEY_LINE.match(line):
            break
        end = line_end
    return end


def _line_number(lines: list[Span], offset: int) -> int:
    return bisect.bisect_right(lines, offset, key=lambda line: line[0]) - 1


def _without_references(text: str, start: int, end: int) -> Iterator[Span]:
    """What `${NAME}` and `${file:PATH}` say is no secret; a default may be."""
    for reference in _REFERENCE.finditer(text, start, end):
        yield start, reference.start()
        start = reference.end()
    yield start, end


def _closing(text: str, start: int, quote: str) -> int:
    """Behind the quote that closes it, or the end of the text."""
    pattern = r"(?:[^\"\\]|\\.)*\"" if quote == '"' else r"(?:[^']|'')*'"
    match = re.compile(pattern, re.DOTALL).match(text, start)
    return len(text) if match is None else match.end()


def _lines_in(text: str, span: Span) -> Iterator[Span]:
    """A span line by line, without the blanks that a line starts with."""
    for match in _REST_OF_LINE.finditer(text, *span):
        yield match.span()


def _joined(spans: list[Span]) -> list[Span]:
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        elif start < end:
            result.append((start, end))
    return result
