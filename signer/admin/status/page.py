"""The status as a page for people. Every value goes through MarkupSafe's `format`, which escapes it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlencode

from markupsafe import Markup

from signer.admin.status import number_format
from signer.admin.status.charts import bar, charts
from signer.admin.status.last_reload import last_reload
from signer.admin.status.view import APPS_A_PAGE, AppRow, View
from signer.credentials.refresh_windows import TokenState
from signer.credentials.role_state import RoleState

_MARK = Markup(
    '<svg class="mark" viewBox="0 0 16 16" aria-hidden="true"><rect width="16" height="16" rx="4"/>'
    '<path d="M8 12V5M4.8 7.8 8 4.6l3.2 3.2"/></svg>'
)
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='4' fill='%230b7458'/%3E%3Cpath d='M8 12V5M4.8 7.8 8 4.6l3.2 3.2' fill='none' stroke='white' "
    "stroke-width='1.8' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E"
)
_PAGE = Markup(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<link rel="icon" href="{icon}">
<link rel="stylesheet" href="status/status.css">
<script type="module" src="status/status.js"></script>
<noscript><meta http-equiv="refresh" content="15"></noscript>
</head>
<body>
<header>
<h1>{mark} oss-signer</h1>
<p class="verdict {kind}" id="verdict">{verdict}</p>
<p class="facts">{facts}</p>
<p class="facts updated" id="updated">as of <time datetime="{at_iso}">{at}</time></p>
</header>
<main>
<ul class="troubles" id="troubles">{troubles}</ul>
<section class="charts" id="charts" aria-label="The last hour">{charts}</section>
<search><form class="filter" role="search" action="status">
<label for="q">Find</label>
<input id="q" name="q" type="search" value="{q}" placeholder="app, name, bucket or role" autocomplete="off"
spellcheck="false">
</form></search>
<section class="card" id="roles" aria-labelledby="roles-title">{roles}</section>
<section class="card" id="reload" aria-labelledby="reload-title">{reload}</section>
<section class="card" id="process" aria-labelledby="process-title">{process}</section>
<section class="card" id="apps" aria-labelledby="apps-title">{apps}</section>
</main>
</body>
</html>
"""
)


def page(view: View) -> str:
    severe = any(trouble.severe for trouble in view.troubles())
    troubled = any(True for _ in view.troubles())
    verdict = "not ready" if not view.ready else "ready, with trouble" if troubled else "ready"
    return _PAGE.format(
        title=f"{verdict} · oss-signer on {view.host}",
        icon=_ICON,
        mark=_MARK,
        kind="bad" if severe or not view.ready else "warn" if troubled else "good",
        verdict=verdict,
        facts=_separated(
            [
                view.host,
                *([] if view.worker is None else [f"worker {view.worker}"]),
                f"version {view.version}",
                f"up {number_format.span(view.uptime)}",
            ]
        ),
        at_iso=view.at.isoformat(timespec="seconds"),
        at=number_format.moment(view.at),
        troubles=_joined(
            Markup('<li class="{}">{}</li>').format("bad" if trouble.severe else "warn", trouble.text)
            for trouble in view.troubles()
        ),
        charts=_joined(chart.draw(view.points) for chart in charts(view.takes_callbacks)),
        q=view.question.text,
        roles=_roles(view),
        apps=_apps(view),
        reload=last_reload(view.reload),
        process=_process(view),
    )


def _roles(view: View) -> Markup:
    rows = _joined(_role(role, view) for role in view.shown_roles)
    more = view.matching_roles - len(view.shown_roles)
    return Markup(
        '<h2 id="roles-title">Roles <span class="quiet">{}</span></h2>'
        '<table class="roles"><thead><tr><th>Role</th><th>State</th><th>Time left</th>'
        '<th class="number">Apps</th><th class="number">Next refresh</th></tr></thead><tbody>{}</tbody></table>{}{}'
    ).format(
        _of(view.matching_roles, len(view.roles)),
        rows,
        Markup("") if view.shown_roles else Markup('<p class="quiet">No role is called so.</p>'),
        Markup('<p class="quiet">and {} more; those with trouble come first</p>').format(number_format.count(more))
        if more > 0
        else Markup(""),
    )


_STATES = {
    TokenState.FRESH: ("fresh", ""),
    TokenState.SHORT: ("too short", "warn"),
    TokenState.UNUSABLE: ("no token", "bad"),
}


def _role(role: RoleState, view: View) -> Markup:
    state, kind = _STATES[role.token_state]
    if role.circuit_open:
        state += ", source given a rest"
    error = Markup("")
    if role.last_error is not None:
        error = Markup('<tr class="error" data-key="{}/error"><td colspan="5">{}</td></tr>').format(
            role.role, role.last_error
        )
    return Markup(
        '<tr data-key="{}"><th scope="row">{}</th><td data-label="State"><span class="state {}">{}</span></td>'
        '<td data-label="Time left" class="life">{}</td><td data-label="Apps" class="number">{}</td>'
        '<td data-label="Next refresh" class="number">{}</td></tr>{}'
    ).format(
        role.role,
        role.role,
        kind or ("warn" if role.last_error else ""),
        state,
        _life(role, kind),
        number_format.count(view.apps_of_role.get(role.role, 0)),
        "–" if role.next_attempt_at is None else _in(role.next_attempt_at - view.at),
        error,
    )


def _life(role: RoleState, kind: str) -> Markup:
    if role.remaining is None:
        return Markup('<span class="quiet">{}</span>').format(
            "–" if role.token_state is TokenState.UNUSABLE else "no end"
        )
    if role.remaining <= timedelta():
        return Markup('{}<span class="{}">ended {} ago</span>').format(
            bar(0, 0, kind, "nothing left"), kind, number_format.span(-role.remaining)
        )
    whole = role.remaining if role.fetched_at is None or role.expires_at is None else role.expires_at - role.fetched_at
    share = role.remaining / max(whole, timedelta(seconds=1))
    return Markup('{}<span class="span">{}</span>').format(
        bar(
            share,
            role.required_life / max(whole, timedelta(seconds=1)),
            kind,
            f"{100 * min(1.0, share):.0f} % of its life left",
        ),
        number_format.span(role.remaining),
    )


def _apps(view: View) -> Markup:
    return Markup(
        '<h2 id="apps-title">Apps <span class="quiet">{}</span></h2>'
        '<table class="apps"><thead><tr><th>App</th><th>Name</th><th>Bucket</th><th>Role</th>'
        '<th class="number">Signed</th><th class="number">Refused</th><th class="number">Failed</th></tr></thead>'
        "<tbody>{}</tbody></table>{}{}"
    ).format(
        Markup("{}, the busiest of the last hour first").format(_of(view.matching_apps, view.apps)),
        _joined(map(_app, view.shown_apps)),
        Markup("") if view.shown_apps else Markup('<p class="quiet">No app is called so.</p>'),
        _pages(view),
    )


def _app(row: AppRow) -> Markup:
    app, counts = row.app, row.counts
    return Markup(
        '<tr data-key="{}"{}><th scope="row"><code>{}</code>{}</th><td data-label="Name">{}</td>'
        '<td data-label="Bucket">{}</td><td data-label="Role">{}</td>'
        '<td data-label="Signed" class="number">{}</td><td data-label="Refused" class="number">{}</td>'
        '<td data-label="Failed" class="number{}">{}</td></tr>'
    ).format(
        app.id,
        Markup("") if app.enabled else Markup(' class="off"'),
        app.id,
        Markup("") if app.enabled else Markup(' <span class="tag">off</span>'),
        app.name,
        app.rules.bucket,
        app.role,
        number_format.count(counts.signed),
        number_format.count(counts.refused),
        " bad" if counts.failed else "",
        number_format.count(counts.failed),
    )


def _pages(view: View) -> Markup:
    if view.pages == 1:
        return Markup("")
    number, text = view.question.page, view.question.text

    def link(page_number: int, label: str) -> Markup:
        if not 1 <= page_number <= view.pages:
            return Markup('<span class="quiet">{}</span>').format(label)
        query = urlencode({**({"q": text} if text else {}), "page": page_number})
        return Markup('<a href="status?{}#apps">{}</a>').format(query, label)

    first = (number - 1) * APPS_A_PAGE + 1
    return Markup('<nav class="pages" aria-label="Pages of apps">{} <span>{} to {} of {}</span> {}</nav>').format(
        link(number - 1, "← before"),
        number_format.count(first),
        number_format.count(first + len(view.shown_apps) - 1),
        number_format.count(view.matching_apps),
        link(number + 1, "next →"),
    )


def _process(view: View) -> Markup:
    skew = "none measured yet" if not view.clock_skew_seconds else f"{view.clock_skew_seconds:+.1f} s"
    facts = [
        ("Started", number_format.moment(view.started_at)),
        ("Process", f"{view.pid}, Python {view.python}"),
        ("Memory", number_format.size(view.memory_bytes)),
        ("Open files", f"{number_format.count(view.open_files)} of {number_format.count(view.most_open_files)}"),
        ("Event loop held up", f"{number_format.milliseconds(view.loop_lag_seconds)} at most in 15 s"),
        ("Clock", "right" if view.clock == "good" and abs(view.clock_skew_seconds) < 1 else skew),
        ("Callbacks waiting", number_format.count(view.queue_depth)),
        (
            "Last hour",
            f"{number_format.count(view.totals.signed)} signed, {number_format.count(view.totals.refused)} refused, "
            f"{number_format.count(view.totals.failed)} failed",
        ),
    ]
    return Markup('<h2 id="process-title">Process</h2><dl class="facts-list">{}</dl>').format(
        _joined(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in facts)
    )


def _of(matching: int, whole: int) -> str:
    return (
        number_format.count(whole)
        if matching == whole
        else f"{number_format.count(matching)} of {number_format.count(whole)}"
    )


def _in(length: timedelta) -> str:
    return "now" if length <= timedelta(seconds=1) else f"in {number_format.span(length)}"


def _separated(texts: Iterable[str]) -> Markup:
    return Markup(' <span class="dot">·</span> ').join(texts)


def _joined(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)
