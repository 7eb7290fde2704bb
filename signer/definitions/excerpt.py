"""Mistakes as people see them at a terminal: the place, the words, and the line with a caret under what is meant."""

from __future__ import annotations

import bisect
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TextIO

from signer.definitions.masking import MASK, Span, lines_of, secret_spans
from signer.definitions.mistakes import MAX_MISTAKES, Excerpt, Mistake

_BEFORE, _AFTER = 60, 100
"""How many characters of a long line are shown before and behind what is pointed at."""


def with_excerpts(mistakes: Iterable[Mistake], text_of: Callable[[str], str | None]) -> list[Mistake]:
    """The same, each with its line where `text_of` knows the text of its file; no secret is in a line."""
    texts: dict[str, _Text | None] = {}
    result = []
    for mistake in mistakes:
        name = mistake.place.file
        if name not in texts:
            text = text_of(name)
            texts[name] = None if text is None else _Text(text)
        found = texts[name]
        result.append(mistake if found is None else replace(mistake, excerpt=found.excerpt(mistake)))
    return result


class _Text:
    def __init__(self, text: str) -> None:
        self._text = text.removeprefix("\ufeff")
        self._lines = lines_of(self._text)
        self._secrets = secret_spans(self._text)

    def excerpt(self, mistake: Mistake) -> Excerpt | None:
        place = mistake.place
        if place.line > len(self._lines):
            return None
        start, end = self._lines[place.line - 1]
        if not self._text[start:end].strip(" "):
            return None
        at = min(start + place.column - 1, end)
        until = min(at + place.width, end)
        for secret_start, secret_end in self._secrets_in(at, max(until, at + 1)):
            at, until = min(at, max(secret_start, start)), max(until, min(secret_end, end))
        left, right = max(start, at - _BEFORE), min(end, at + _AFTER)
        lead = "…" if left > start else ""
        text = lead + self._masked(left, right) + ("…" if right < end else "")
        column = len(lead) + len(self._masked(left, at)) + 1
        return Excerpt(text, column, max(len(self._masked(at, min(until, right))), 1))

    def _secrets_in(self, start: int, end: int) -> Iterator[Span]:
        for span in islice(self._secrets, bisect.bisect_right(self._secrets, start, key=lambda span: span[1]), None):
            if span[0] >= end:
                return
            yield span

    def _masked(self, start: int, end: int) -> str:
        shown = []
        for secret_start, secret_end in self._secrets_in(start, end):
            shown += [self._text[start:secret_start], MASK]
            start = secret_end
        return "".join([*shown, self._text[start:end]])


def told(mistakes: Iterable[Mistake], *, kind: str = "", colour: bool = False) -> str:
    """Each with its line and a caret; `kind` goes before the words, such as `warning`."""
    paint = _COLOURS if colour else {}
    return "".join(_told(mistake, kind, paint) for mistake in mistakes)


def summary(errors: int, warnings: int = 0) -> str:
    """`2 errors`, `1 error and 3 warnings`."""
    more = " or more; mend these first" if errors >= MAX_MISTAKES else ""
    return " and ".join(counted(n, noun) for n, noun in ((errors, "error"), (warnings, "warning")) if n) + more


def counted(number: int, noun: str) -> str:
    """`1 app`, `10,000 apps`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """On a terminal, unless NO_COLOR is set (https://no-color.org) or the terminal is dumb."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


_COLOURS = {"place": "\x1b[1m", "": "\x1b[1;31m", "warning": "\x1b[1;33m", "caret": "\x1b[1;32m", "off": "\x1b[0m"}


def _told(mistake: Mistake, kind: str, paint: Mapping[str, str]) -> str:
    def painted(name: str, text: str) -> str:
        return f"{paint[name]}{text}{paint['off']}" if name in paint and text else text

    mark = painted(kind, f"{kind}: ") if kind else ""
    words = mistake.message if kind else painted("", mistake.message)
    head = f"{painted('place', f'{mistake.place}:')} {mark}{words}\n"
    excerpt = mistake.excerpt
    if excerpt is None:
        return head
    cells = [_visible(character) for character in excerpt.text]
    start = sum(map(_width, cells[: excerpt.column - 1]))
    width = max(sum(map(_width, cells[excerpt.column - 1 : excerpt.column - 1 + excerpt.width])), 1)
    gutter = f"{mistake.place.line:>5} | "
    caret = painted("caret", "^" + "~" * (width - 1))
    return f"{head}{gutter}{''.join(cells).rstrip()}\n{'| ':>{len(gutter)}}{' ' * start}{caret}\n"


def _visible(character: str) -> str:
    """The character, or something to see in its place: an arrow for a tab, the code of what leaves no trace."""
    if character == "\t":
        return "→   "
    if character != " " and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}:
        return f"<U+{ord(character):04X}>"
    return character


def _width(cell: str) -> int:
    """How many columns of a terminal it takes: two for wide characters, none for combining ones."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in cell
    )
