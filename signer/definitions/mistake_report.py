"""Mistakes as text for a terminal: the place, the message, and the line with a caret below the value."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TextIO

from signer.definitions.mistakes import MAX_MISTAKES, Mistake
from signer.definitions.quantities import format_count


def render_mistakes(mistakes: Iterable[Mistake], *, kind: str = "", color: bool = False) -> str:
    """Each with its line and a caret; `kind` goes before the words, such as `warning`."""
    paint = _COLORS if color else {}
    return "".join(_told(mistake, kind, paint) for mistake in mistakes)


def summary(errors: int, warnings: int = 0) -> str:
    """`2 errors`, `1 error and 3 warnings`."""
    more = " or more; mend these first" if errors >= MAX_MISTAKES else ""
    return " and ".join(format_count(n, noun) for n, noun in ((errors, "error"), (warnings, "warning")) if n) + more


def wants_color(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """On a terminal, unless NO_COLOR is set (https://no-color.org) or the terminal is dumb."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


_COLORS = {"place": "\x1b[1m", "": "\x1b[1;31m", "warning": "\x1b[1;33m", "caret": "\x1b[1;32m", "off": "\x1b[0m"}


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
