"""The section of the page with the last reload: its changes, or its mistakes with their places."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from signer.admin.status import number_format
from signer.live.reload_result import ReloadResult

_MAX_LINES = 100
_CHANGE_CLASSES = {"+": "added", "-": "removed"}
_TRIGGERS = {"start": "at start", "change": "after an edit", "request": "on request", "SIGHUP": "on SIGHUP"}


def reload_section(result: ReloadResult) -> Markup:
    """Render the section."""
    state = "Active" if result.succeeded else "Rejected; the previous definitions stay active"
    return Markup(
        '<h2 id="reload-title">Last reload</h2><p><span class="state {}">{}</span></p>'
        '<p class="quiet">{}, {}; revision <code>{}</code></p>{}{}{}'
    ).format(
        "" if result.succeeded else "bad",
        state,
        number_format.moment(result.at),
        _TRIGGERS.get(result.trigger, result.trigger),
        result.revision[:16],
        Markup("") if result.error is None else Markup('<p class="reason bad">{}</p>').format(result.error),
        _list("mistakes", [_mistake(str(each.place), each.message) for each in result.mistakes]),
        _list("changes", map(_change, result.changes)),
    )


def _mistake(place: str, message: str) -> Markup:
    return Markup("<li><code>{}</code> {}</li>").format(place, message)


def _change(line: str) -> Markup:
    return Markup('<li class="{}"><code>{}</code></li>').format(_CHANGE_CLASSES.get(line[:1], "changed"), line)


def _list(kind: str, items: Iterable[Markup]) -> Markup:
    shown = list(items)
    if not shown:
        return Markup("")
    more = len(shown) - _MAX_LINES
    if more > 0:
        shown = [*shown[:_MAX_LINES], Markup('<li class="quiet">and {} more</li>').format(number_format.count(more))]
    return Markup('<ul class="lines {}">{}</ul>').format(kind, Markup("").join(shown))
