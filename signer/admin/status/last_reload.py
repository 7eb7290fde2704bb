"""The part of the page that tells how the last reload ended: what it changed, or what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from signer.admin.status import number_format
from signer.live.reload_result import ReloadResult

_MOST_LINES = 100
_KINDS = {"+": "added", "-": "removed"}
_TRIGGERS = {"start": "at the start", "change": "after an edit", "request": "on request", "SIGHUP": "on SIGHUP"}


def last_reload(outcome: ReloadResult) -> Markup:
    verdict = "In force" if outcome.succeeded else "Refused; what was in force before goes on"
    return Markup(
        '<h2 id="reload-title">Last reload</h2><p><span class="state {}">{}</span></p>'
        '<p class="quiet">{}, {}; revision <code>{}</code></p>{}{}{}'
    ).format(
        "" if outcome.succeeded else "bad",
        verdict,
        number_format.moment(outcome.at),
        _TRIGGERS.get(outcome.trigger, outcome.trigger),
        outcome.revision[:16],
        Markup("") if outcome.error is None else Markup('<p class="told bad">{}</p>').format(outcome.error),
        _list("mistakes", [_mistake(str(each.place), each.message) for each in outcome.mistakes]),
        _list("changes", map(_change, outcome.changes)),
    )


def _mistake(place: str, message: str) -> Markup:
    return Markup("<li><code>{}</code> {}</li>").format(place, message)


def _change(line: str) -> Markup:
    return Markup('<li class="{}"><code>{}</code></li>').format(_KINDS.get(line[:1], "changed"), line)


def _list(kind: str, items: Iterable[Markup]) -> Markup:
    shown = list(items)
    if not shown:
        return Markup("")
    more = len(shown) - _MOST_LINES
    if more > 0:
        shown = [*shown[:_MOST_LINES], Markup('<li class="quiet">and {} more</li>').format(number_format.count(more))]
    return Markup('<ul class="lines {}">{}</ul>').format(kind, Markup("").join(shown))
