"""The status as a page for people. MarkupSafe's `format` escapes every value."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from signer.admin.status import number_format
from signer.admin.status.alerts import Alert, find_alerts
from signer.admin.status.apps_section import apps_section
from signer.admin.status.charts import charts
from signer.admin.status.reload_section import reload_section
from signer.admin.status.roles_section import roles_section
from signer.admin.status.snapshot import StatusSnapshot
from signer.credentials.clock_skew import ClockState

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
<p class="state-line {kind}" id="state">{state}</p>
<p class="facts">{facts}</p>
<p class="facts updated" id="updated">as of <time datetime="{at_iso}">{at}</time></p>
</header>
<main>
<ul class="alerts" id="alerts">{alerts}</ul>
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


def status_page(snapshot: StatusSnapshot) -> str:
    """Return the HTML document."""
    alerts = find_alerts(snapshot)
    state, kind = _state(snapshot, alerts)
    process = snapshot.process
    facts = [
        process.host,
        *([] if process.worker is None else [f"worker {process.worker}"]),
        f"version {process.version}",
        f"up {number_format.duration(snapshot.uptime)}",
    ]
    return _PAGE.format(
        title=f"{state} · oss-signer on {process.host}",
        icon=_ICON,
        mark=_MARK,
        kind=kind,
        state=state,
        facts=Markup(' <span class="dot">·</span> ').join(facts),
        at_iso=snapshot.at.isoformat(timespec="seconds"),
        at=number_format.moment(snapshot.at),
        alerts=_concatenate(
            Markup('<li class="{}">{}</li>').format("bad" if alert.is_severe else "warn", alert.text)
            for alert in alerts
        ),
        charts=_concatenate(chart.draw(snapshot.points) for chart in charts(snapshot.has_callbacks)),
        q=snapshot.query.text,
        roles=roles_section(snapshot),
        apps=apps_section(snapshot),
        reload=reload_section(snapshot.last_reload),
        process=_process_section(snapshot),
    )


def _state(snapshot: StatusSnapshot, alerts: list[Alert]) -> tuple[str, str]:
    """Return the state of the signer in words, and its class in the style sheet."""
    if not snapshot.is_ready:
        return "not ready", "bad"
    if not alerts:
        return "ready", "good"
    return "ready, with alerts", "bad" if any(alert.is_severe for alert in alerts) else "warn"


def _process_section(snapshot: StatusSnapshot) -> Markup:
    process, totals = snapshot.process, snapshot.totals
    facts = [
        ("Started", number_format.moment(process.started_at)),
        ("Process", f"{process.pid}, Python {process.python}"),
        ("Memory", number_format.size(process.memory_bytes)),
        ("Open files", f"{number_format.count(process.open_files)} of {number_format.count(process.max_open_files)}"),
        ("Event loop lag", f"at most {number_format.milliseconds(process.loop_lag_seconds)} in 15 s"),
        ("Clock", _clock(snapshot)),
        ("Waiting callbacks", number_format.count(snapshot.queue_depth)),
        (
            "Last hour",
            f"{number_format.count(totals.signed)} signed, {number_format.count(totals.refused)} rejected, "
            f"{number_format.count(totals.failed)} failed",
        ),
    ]
    return Markup('<h2 id="process-title">Process</h2><dl class="facts-list">{}</dl>').format(
        _concatenate(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in facts)
    )


def _clock(snapshot: StatusSnapshot) -> str:
    if snapshot.clock is ClockState.GOOD and abs(snapshot.clock_skew_seconds) < 1:
        return "accurate"
    return f"{snapshot.clock_skew_seconds:+.1f} s"


def _concatenate(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)
