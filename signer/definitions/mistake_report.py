"""Mistakes as text for a terminal: the place, the message, and the line with a caret below the value."""

import unicodedata
from collections.abc import Iterable, Mapping

from signer.definitions.mistakes import MAX_MISTAKES, Mistake
from signer.definitions.quantities import format_count
from signer.definitions.redaction import visible

_COLORS = {"place": "\x1b[1m", "": "\x1b[1;31m", "warning": "\x1b[1;33m", "caret": "\x1b[1;32m"}
_RESET = "\x1b[0m"


def render_mistakes(mistakes: Iterable[Mistake], *, kind: str = "", color: bool = False) -> str:
    """Return each mistake with its line and a caret; `kind` is a word before the message, such as `warning`."""
    return "".join(_render(mistake, kind, _COLORS if color else {}) for mistake in mistakes)


def summary(errors: int, warnings: int = 0) -> str:
    """Return the counts, like `2 errors` or `1 error and 3 warnings`."""
    more = " or more; fix these first" if errors >= MAX_MISTAKES else ""
    return " and ".join(format_count(n, noun) for n, noun in ((errors, "error"), (warnings, "warning")) if n) + more


def _render(mistake: Mistake, kind: str, colors: Mapping[str, str]) -> str:
    def colored(name: str, text: str) -> str:
        return f"{colors[name]}{text}{_RESET}" if name in colors and text else text

    label = colored(kind, f"{kind}: ") if kind else ""
    message = mistake.message if kind else colored("", mistake.message)
    head = f"{colored('place', f'{mistake.place}:')} {label}{message}\n"
    excerpt = mistake.excerpt
    if excerpt is None:
        return head
    cells = ["→   " if character == "\t" else visible(character) for character in excerpt.text]
    start = sum(map(_width, cells[: excerpt.column - 1]))
    width = max(sum(map(_width, cells[excerpt.column - 1 : excerpt.column - 1 + excerpt.width])), 1)
    gutter = f"{mistake.place.line:>5} | "
    caret = colored("caret", "^" + "~" * (width - 1))
    return f"{head}{gutter}{''.join(cells).rstrip()}\n{'| ':>{len(gutter)}}{' ' * start}{caret}\n"


def _width(cell: str) -> int:
    """Return how many columns a text takes on a terminal: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in cell
    )
