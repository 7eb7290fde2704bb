"""Draws a bar chart as SVG text, readable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

_WIDTH, _LABELS, _ROW, _TOP = 760, 290, 30, 48

_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-size:15px;font-weight:600}"
    ".signer{fill:#1a7f5a}.other{fill:#8c959f}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.signer{fill:#3fb984}.other{fill:#6e7681}}"
)


def bar_chart(title: str, rows: Sequence[tuple[str, float, bool]]) -> str:
    """Return a chart with a bar for each row.

    Args:
        title: The heading.
        rows: Label, value, and whether the bar is drawn in the signer's color.
    """
    max_value = max(value for _, value, _ in rows)
    max_length = _WIDTH - _LABELS - 90
    height = _TOP + _ROW * len(rows) + 8
    description = f"{title}. " + "; ".join(f"{label}: {value:,.0f}" for label, value, _ in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label={quoteattr(description)}>',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="8" y="24">{escape(title)}</text>',
    ]
    for number, (label, value, is_signer) in enumerate(rows):
        top = _TOP + _ROW * number
        length = max(1.0, max_length * value / max_value)
        kind = "signer" if is_signer else "other"
        parts += [
            f'<text x="{_LABELS - 10}" y="{top + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect class="{kind}" x="{_LABELS}" y="{top}" width="{length:.1f}" height="20" rx="2"/>',
            f'<text x="{_LABELS + length + 8:.1f}" y="{top + 15}">{value:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
