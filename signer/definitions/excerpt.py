"""The line of a mistake, up to where a secret could begin; the file may be broken YAML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from signer.definitions.mistakes import Excerpt, Mistake
from signer.definitions.redaction import URL_PASSWORD, secret_start
from signer.definitions.secret_keys import is_secret_key
from signer.definitions.yaml_syntax import split_lines

_HIDDEN = "…"
_BEFORE, _AFTER = 60, 100
"""How many characters of a long line are shown before and after the marked column."""

_KEY = re.compile(r"[A-Za-z0-9_.-]{3,}", re.ASCII)
_AFTER_KEY = re.compile(r"[\"']?(\s*[:：]|(?=\s|$))\s*")
_KEY_LINE = re.compile(r" *(?:[-?] +)*(?:#|---|\.\.\.|[\"']?[\w.@/-]+[\"']? *:(?:\s|$))")
_BLOCK_START = re.compile(r"[ \-?\"']*")
_ALIAS = re.compile(r"\*([^\s,\[\]{}]+)")
_ANCHOR = re.compile(r"&([^\s,\[\]{}]+)")


def add_excerpts(mistakes: Iterable[Mistake], text_of: Callable[[str], str | None]) -> list[Mistake]:
    """Return the mistakes with their lines.

    Args:
        mistakes: where they have an excerpt already, it stays.
        text_of: gives the text of a file by its name, or None.
    """
    lines: dict[str, list[str] | None] = {}
    result = []
    for mistake in mistakes:
        name = mistake.place.file
        if name not in lines:
            text = text_of(name)
            lines[name] = None if text is None else hide_secrets(split_lines(text.removeprefix("\ufeff")))
        of_file = lines[name]
        excerpt = mistake.excerpt or (None if of_file is None else _excerpt(mistake, of_file))
        result.append(replace(mistake, excerpt=excerpt))
    return result


def _excerpt(mistake: Mistake, lines: Sequence[str]) -> Excerpt | None:
    place = mistake.place
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if not line.strip(" "):
        return None
    start = min(place.column - 1, len(line) - 1)
    end = max(min(start + place.width, len(line)), start + 1)
    left, right = max(0, start - _BEFORE), min(len(line), start + _AFTER)
    lead = "…" if left else ""
    text = lead + line[left:right] + ("…" if right < len(line) else "")
    return Excerpt(text, len(lead) + start - left + 1, min(end, right) - start)


@dataclass(slots=True)
class _SecretValue:
    """A secret value whose key is above the current line."""

    indent: int
    """The column of its key."""
    quote: str
    """The quote that it starts with and that is not closed yet; empty without one."""

    def covers(self, line: str) -> bool:
        """Return whether a line may still be part of the value."""
        if self.quote:
            if self.quote in line:
                self.quote = ""
            return True
        is_deeper = len(line) - len(line.lstrip(" ")) > self.indent
        return is_deeper or not line.strip() or not _KEY_LINE.match(line)


def hide_secrets(lines: Sequence[str]) -> list[str]:
    """Return the lines of a file, each up to where a secret could begin; in doubt more is hidden."""
    anchors = _anchors_of_secrets(lines)
    shown = []
    value: _SecretValue | None = None
    for line in lines:
        if value is not None and value.covers(line):
            indent = line[: len(line) - len(line.lstrip(" "))]
            shown.append(f"{indent}{_HIDDEN}" if line.strip() else line)
            continue
        start, value = _key_of_secret(line, anchors)
        by_shape = secret_start(line)
        passwords = (match.start() for match in URL_PASSWORD.finditer(line))
        start = min([start, *([] if by_shape is None else [by_shape]), *passwords])
        shown.append(line if start == len(line) else f"{line[:start]}{_HIDDEN}")
    return shown


def _key_of_secret(line: str, anchors: frozenset[str]) -> tuple[int, _SecretValue | None]:
    """Return the column of the first secret value in a line, or the line's length, and what may follow below."""
    anchor = next((each for each in _ANCHOR.finditer(line) if each[1] in anchors), None) if anchors else None
    for key in _KEY.finditer(line):
        if anchor is not None and anchor.start() < key.start():
            break
        if (start := _value_start(line, key)) is not None:
            return _secret_value(line, key.start(), start)
    return (len(line), None) if anchor is None else _secret_value(line, anchor.start(), anchor.start())


def _value_start(line: str, key: re.Match[str]) -> int | None:
    """Return where the value of a secret key begins; a long key counts without its colon, which may be missing."""
    after = _AFTER_KEY.match(line, key.end())
    if after is None or not (after[1] or "_" in key[0] or "-" in key[0]) or not is_secret_key(key[0]):
        return None
    return after.end()


def _secret_value(line: str, key: int, start: int) -> tuple[int, _SecretValue]:
    block = _BLOCK_START.match(line)
    is_block = block is not None and block.end() >= key
    indent = len(line[:key].rstrip("\"'")) if is_block else len(line) - len(line.lstrip(" "))
    quote = line[start : start + 1]
    is_open = quote in ('"', "'") and quote not in line[start + 1 :]
    return start, _SecretValue(indent, quote if is_open else "")


def _anchors_of_secrets(lines: Sequence[str]) -> frozenset[str]:
    """Return the names of the anchors whose aliases are the values of secret keys."""
    return frozenset(
        alias[1]
        for line in lines
        if "*" in line
        for key in _KEY.finditer(line)
        if (start := _value_start(line, key)) is not None and (alias := _ALIAS.match(line, start))
    )
