"""The line of a mistake, up to where a secret could begin; the file may be broken YAML."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from signer.definitions.mistakes import Excerpt, Mistake, Place
from signer.definitions.printable import is_secret_key
from signer.definitions.redaction import URL_PASSWORD, secret_start
from signer.definitions.yaml_syntax import split_lines

_HIDDEN = "…"
_BEFORE, _AFTER = 60, 100
"""How many characters of a long line are shown before and after the marked column."""

_KEY = re.compile(r"[A-Za-z0-9_.-]{3,}", re.ASCII)
_AFTER_KEY = re.compile(r"[\"']?(\s*[:：]|(?=\s|$))\s*")
_KEY_LINE = re.compile(r" *(?:[-?] +)*(?:#|---|\.\.\.|[\"']?[\w.@/-]+[\"']? *:(?:\s|$))")
_BLOCK_START = re.compile(r"[ \-?\"']*")
_ANCHOR = re.compile(r"(?:^|[\s,\[{])&[^\s,\[\]{}]+\s*")


def add_excerpts(mistakes: Iterable[Mistake], texts: Mapping[str, str]) -> list[Mistake]:
    """Return the mistakes with their lines, which are in the texts by the name of the file."""
    lines: dict[str, list[str]] = {}
    result = []
    for mistake in mistakes:
        name = mistake.place.file
        if name in texts and name not in lines:
            lines[name] = hide_secrets(split_lines(texts[name].removeprefix("\ufeff")))
        result.append(replace(mistake, excerpt=_excerpt(mistake.place, lines.get(name, []))))
    return result


def _excerpt(place: Place, lines: Sequence[str]) -> Excerpt | None:
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
    """A value that may continue on the lines below its key."""

    indent: int
    """The indentation of its key."""
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
    # The value of an anchor may be that of a secret key elsewhere.
    has_aliases = any("*" in line for line in lines)
    shown = []
    value: _SecretValue | None = None
    for line in lines:
        if value is not None and value.covers(line):
            indent = line[: len(line) - len(line.lstrip(" "))]
            shown.append(f"{indent}{_HIDDEN}" if line.strip() else line)
            continue
        start, value = _key_of_secret(line)
        if has_aliases and (anchor := _ANCHOR.search(line)) is not None and anchor.end() < start:
            start, value = _secret_value(line, anchor.start(), anchor.end())
        by_shape = secret_start(line)
        passwords = (match.start() for match in URL_PASSWORD.finditer(line))
        start = min([start, *([] if by_shape is None else [by_shape]), *passwords])
        shown.append(line if start == len(line) else f"{line[:start]}{_HIDDEN}")
    return shown


def _key_of_secret(line: str) -> tuple[int, _SecretValue | None]:
    """Return the column of the first secret value in a line, or the line's length, and what may follow below."""
    for key in _KEY.finditer(line):
        after = _AFTER_KEY.match(line, key.end())
        # A long key counts without its colon, which may be missing.
        if after is not None and (after[1] or "_" in key[0] or "-" in key[0]) and is_secret_key(key[0]):
            return _secret_value(line, key.start(), after.end())
    return len(line), None


def _secret_value(line: str, key: int, start: int) -> tuple[int, _SecretValue]:
    block = _BLOCK_START.match(line)
    is_block = block is not None and block.end() >= key
    indent = len(line[:key].rstrip("\"'")) if is_block else len(line) - len(line.lstrip(" "))
    quote = line[start : start + 1]
    is_open = quote in ('"', "'") and quote not in line[start + 1 :]
    return start, _SecretValue(indent, quote if is_open else "")
