"""A bar chart as SVG, without anything but text: readable on white and on black, with the reader's own fonts."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

_WIDTH, _NAMES, _ROW, _TOP = 760, 250, 30, 48

_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-size:15px;font-weight:600}"
    ".ours{fill:#1a7f5a}.others{fill:#8c959f}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#3fb984}.others{fill:#6e7681}}"
)


def bars(title: str, rows: Sequence[tuple[str, float]], *, ours: str) -> str:
    """One bar each, to scale; those whose name has one of these letters in its brackets are drawn as ours."""
    most = max(value for _, value in rows)
    room = _WIDTH - _NAMES - 90
    height = _TOP + _ROW * len(rows) + 8
    told = "; ".join(f"{name}: {value:,.0f}" for name, value in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(f"{title}. {told}", {chr(34): "&quot;"})}">',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="8" y="24">{escape(title)}</text>',
    ]
    for number, (name, value) in enumerate(rows):
        top = _TOP + _ROW * number
        length = max(1.0, room * value / most)
        kind = "ours" if name[1] in ours else "others"
        parts += [
            f'<text x="{_NAMES - 10}" y="{top + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{_NAMES}" y="{top}" width="{length:.1f}" height="20" rx="2"/>',
            f'<text x="{_NAMES + length + 8:.1f}" y="{top + 15}">{value:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
