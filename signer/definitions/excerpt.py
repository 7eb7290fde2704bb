"""Mistakes as people see them at a terminal: the place, the words, and the line with a caret under what is meant."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from signer.definitions.masking import MASK, Span, lines_of, secret_spans
from signer.definitions.mistakes import Excerpt, Mistake

_BEFORE, _AFTER = 60, 100
"""How many characters of a long line are shown before and behind what is pointed at."""


def add_excerpts(mistakes: Iterable[Mistake], text_of: Callable[[str], str | None]) -> list[Mistake]:
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
