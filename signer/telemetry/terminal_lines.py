"""Shows the lines of the log to a person on a terminal: time, level, event, and the other fields."""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TextIO

from signer.telemetry.logs import escape_unprintable

_COLORS = {"warning": "33", "error": "31", "critical": "31;1"}
"""Numbers of ECMA-48. See: https://ecma-international.org/publications-and-standards/standards/ecma-48/"""
_FAINT = "2"
_SHOWN_FIRST = ("time", "level", "message")
_HIDDEN = ("logger",)


def wants_color(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a stream is a terminal that shows colors.

    See: https://no-color.org
    """
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


class TerminalLines:
    """A terminal that gets each line of JSON as readable text; other lines stay as they are."""

    def __init__(self, descriptor: int, *, has_colors: bool) -> None:
        self._descriptor = descriptor
        self._has_colors = has_colors

    def write(self, lines: memoryview) -> int:
        """Write all lines, and return their size in bytes."""
        text = "".join(map(self._readable, bytes(lines).decode(errors="replace").splitlines()))
        data = text.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]
        return len(lines)

    def _readable(self, line: str) -> str:
        try:
            fields: dict[str, Any] = json.loads(line)
            time = datetime.fromisoformat(fields["time"]).astimezone()
            level, event = str(fields["level"]), str(fields["message"])
        except (ValueError, TypeError, KeyError):
            return f"{line}\n"
        others = " ".join(
            f"{name}={_value(value)}"
            for name, value in fields.items()
            if name not in (*_SHOWN_FIRST, *_HIDDEN) and value is not None
        )
        color = _COLORS.get(level)
        return (
            f"{self._in_color(f'{time:%H:%M:%S}', _FAINT)} {self._in_color(f'{level.upper():8}', color)} "
            f"{escape_unprintable(event)}{'  ' if others else ''}{self._in_color(others, _FAINT)}\n"
        )

    def _in_color(self, text: str, color: str | None) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._has_colors and color and text else text


def _value(value: object) -> str:
    """Return a value as text: without quotes if it is one word."""
    if isinstance(value, str) and value and " " not in value:
        return escape_unprintable(value)
    return escape_unprintable(json.dumps(value, ensure_ascii=False))
