"""The state that /status shows, at one moment; both the page and the JSON are rendered from it."""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from signer.admin.status.history import History, Point
from signer.admin.status.loop_lag import LoopLag
from signer.admin.status.process import ProcessState
from signer.clock import utc_now
from signer.credentials.clock_skew import ClockState, clock_state
from signer.credentials.refresh_windows import TokenState
from signer.credentials.role import RoleState, can_sign
from signer.definitions.registry import App
from signer.live.reload_result import ReloadResult
from signer.live.reloader import Reloader, RenewableCertificate
from signer.service import Service

APPS_PER_PAGE = 50
_MAX_ROLES = 50
_TOKEN_STATES = (TokenState.UNUSABLE, TokenState.SHORT, TokenState.FRESH)
"""In the order in which roles are listed."""


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """Which of many apps and roles to show."""

    text: str = ""
    """A part of an id, name, bucket or role, in any case."""
    page: int = 1


class AppRow(NamedTuple):
    """An app and its requests of the last hour, by the kind of outcome."""

    app: App
    counts: Counter[str]


class LogState(NamedTuple):
    """The log or the audit log."""

    sink: str
    """`log` or `audit`."""
    blocked_seconds: float
    """For how long no line could be written although lines wait."""
    lines_lost: int
    """Since the start of the process."""


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """The state of a signer, and the apps and roles that a query selects."""

    at: datetime
    process: ProcessState
    loop_lag_seconds: float
    is_ready: bool
    clock: ClockState
    clock_skew_seconds: float
    queue_depth: int
    has_callbacks: bool
    dead_letters: int
    queue_error: str | None
    """Why the callback queue is unavailable."""
    corrupt_queue_files: Sequence[str]
    limits_error: str | None
    """Why the Redis of `limits` is unavailable."""
    logs: Sequence[LogState]
    last_reload: ReloadResult
    certificate: RenewableCertificate | None
    roles: Sequence[RoleState]
    """All roles: those without a usable token first, then by expiry."""
    matching_roles: int
    shown_roles: Sequence[RoleState]
    apps_of_role: Mapping[str, int]
    apps: int
    matching_apps: int
    shown_apps: Sequence[AppRow]
    """One page of the matching apps, the busiest first."""
    totals: Counter[str]
    """All requests of the last hour, including those that named no existing app."""
    points: Sequence[Point | None]
    query: StatusQuery
    pages: int

    @property
    def uptime(self) -> timedelta:
        """How long the process has been running."""
        return self.at - self.process.started_at


def take_snapshot(
    service: Service, reloader: Reloader, history: History, loop_lag: LoopLag, query: StatusQuery, process: ProcessState
) -> StatusSnapshot:
    """Return the current state. It only reads, so any thread may call it."""
    registry = service.current.registry
    roles = sorted(service.role_states(), key=_urgency)
    skew_seconds = service.clock_skew.seconds()
    counts = history.apps()
    text = query.text.casefold()
    matching_apps = [app for app in registry.apps.values() if not text or _contains(app, text)]
    matching_roles = [role for role in roles if text in role.role.casefold()]
    pages = max(1, -(-len(matching_apps) // APPS_PER_PAGE))
    page = min(query.page, pages)
    totals, no_requests = Counter[str](), Counter[str]()
    candidates = (AppRow(app, counts.get(app.id, no_requests)) for app in matching_apps)
    rows = heapq.nsmallest(page * APPS_PER_PAGE, candidates, key=lambda row: (-row.counts.total(), row.app.id))
    for each in counts.values():
        totals.update(each)
    queue = service.callback_queue
    return StatusSnapshot(
        at=utc_now(),
        process=process,
        loop_lag_seconds=loop_lag.max_seconds(),
        is_ready=can_sign(roles, skew_seconds),
        clock=clock_state(skew_seconds),
        clock_skew_seconds=skew_seconds,
        queue_depth=int(service.metrics.queue_depth()),
        has_callbacks=any(app.callback is not None for app in registry.apps.values()),
        dead_letters=0 if queue is None else queue.events.dead_letter_count(),
        queue_error=None if queue is None else queue.health.error,
        corrupt_queue_files=() if queue is None else queue.events.corrupt_files(),
        limits_error=service.limiter.error,
        logs=[LogState(each.sink, each.blocked_seconds(), each.lost_lines) for each in service.line_writers],
        last_reload=reloader.last,
        certificate=reloader.certificate,
        roles=roles,
        matching_roles=len(matching_roles),
        shown_roles=matching_roles[:_MAX_ROLES],
        apps_of_role=Counter(app.role for app in registry.apps.values() if app.enabled),
        apps=len(registry.apps),
        matching_apps=len(matching_apps),
        shown_apps=rows[(page - 1) * APPS_PER_PAGE :],
        totals=totals,
        points=history.points(),
        query=StatusQuery(query.text, page),
        pages=pages,
    )


def _urgency(role: RoleState) -> tuple[int, bool, timedelta, str]:
    remaining = timedelta.max if role.remaining is None else role.remaining
    return _TOKEN_STATES.index(role.token_state), role.last_error is None, remaining, role.role


def _contains(app: App, text: str) -> bool:
    return text in "\n".join((app.id, app.name, app.rules.bucket, app.role)).casefold()
