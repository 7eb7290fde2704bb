"""The state that /status shows, at one moment; both the page and the JSON are rendered from it."""

from __future__ import annotations

import heapq
import os
import platform
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import signer
from signer.admin.status.history import AppCounts, History, Point
from signer.admin.status.loop_lag import LoopLag
from signer.admin.status.process import max_open_files, memory_bytes, open_files
from signer.clock import utc_now
from signer.credentials.clock_skew import ClockState, clock_state
from signer.credentials.refresh_windows import TokenState
from signer.credentials.role import RoleState, can_sign
from signer.definitions.registry import App, Registry
from signer.live.reload_result import ReloadResult
from signer.live.reloader import Reloader, RenewableCertificate
from signer.service import Service

APPS_PER_PAGE = 50
_MAX_ROLES = 50
_TOKEN_STATES = (TokenState.UNUSABLE, TokenState.SHORT, TokenState.FRESH)
"""In the order in which roles are listed."""
_NO_COUNTS = AppCounts()


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """Which of many apps and roles to show."""

    text: str = ""
    """A part of an id, name, bucket or role, in any case."""
    page: int = 1


@dataclass(frozen=True, slots=True)
class AppRow:
    """An app and its requests of the last hour."""

    app: App
    counts: AppCounts


@dataclass(frozen=True, slots=True)
class ProcessState:
    """The process and its machine."""

    started_at: datetime
    host: str
    worker: int | None
    pid: int
    version: str
    python: str
    memory_bytes: int
    open_files: int
    max_open_files: int
    loop_lag_seconds: float


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """The state of a signer, and the apps and roles that a query selects."""

    at: datetime
    process: ProcessState
    is_ready: bool
    clock: ClockState
    clock_skew_seconds: float
    queue_depth: int
    has_callbacks: bool
    last_reload: ReloadResult
    certificate: RenewableCertificate | None
    """The certificate of `server.tls`."""
    roles: Sequence[RoleState]
    """All roles: those without a usable token first, then by expiry."""
    matching_roles: int
    shown_roles: Sequence[RoleState]
    apps_of_role: Mapping[str, int]
    apps: int
    matching_apps: int
    shown_apps: Sequence[AppRow]
    """One page of the matching apps, the busiest first."""
    totals: AppCounts
    """All requests of the last hour, including those that named no existing app."""
    points: Sequence[Point | None]
    query: StatusQuery
    pages: int

    @property
    def uptime(self) -> timedelta:
        """How long the process has been running."""
        return self.at - self.process.started_at


def take_snapshot(
    service: Service,
    reloader: Reloader,
    history: History,
    loop_lag: LoopLag,
    query: StatusQuery,
    *,
    started_at: datetime,
    worker: int | None,
) -> StatusSnapshot:
    """Return the current state. It only reads, so any thread may call it."""
    registry = service.current.registry
    roles = sorted(service.role_states(), key=_urgency)
    skew_seconds = service.clock_skew.seconds()
    counts = history.apps()
    matching_apps, matching_roles = _matching_apps(registry, query.text), _matching_roles(roles, query.text)
    pages = max(1, -(-len(matching_apps) // APPS_PER_PAGE))
    page = min(query.page, pages)
    rows = heapq.nsmallest(
        page * APPS_PER_PAGE, (AppRow(app, counts.get(app.id, _NO_COUNTS)) for app in matching_apps), key=_busiest_first
    )
    return StatusSnapshot(
        at=utc_now(),
        process=_process_state(started_at, worker, loop_lag),
        is_ready=can_sign(roles, skew_seconds),
        clock=clock_state(skew_seconds),
        clock_skew_seconds=skew_seconds,
        queue_depth=int(service.metrics.queue_depth()),
        has_callbacks=any(app.callback is not None for app in registry.apps.values()),
        last_reload=reloader.last,
        certificate=reloader.certificate,
        roles=roles,
        matching_roles=len(matching_roles),
        shown_roles=matching_roles[:_MAX_ROLES],
        apps_of_role=Counter(app.role for app in registry.apps.values() if app.enabled),
        apps=len(registry.apps),
        matching_apps=len(matching_apps),
        shown_apps=rows[(page - 1) * APPS_PER_PAGE :],
        totals=_sum(counts),
        points=history.points(),
        query=StatusQuery(query.text, page),
        pages=pages,
    )


def _process_state(started_at: datetime, worker: int | None, loop_lag: LoopLag) -> ProcessState:
    return ProcessState(
        started_at=started_at,
        host=socket.gethostname(),
        worker=worker,
        pid=os.getpid(),
        version=signer.__version__,
        python=platform.python_version(),
        memory_bytes=memory_bytes(),
        open_files=open_files(),
        max_open_files=max_open_files(),
        loop_lag_seconds=loop_lag.max_seconds(),
    )


def _urgency(role: RoleState) -> tuple[int, bool, timedelta, str]:
    remaining = timedelta.max if role.remaining is None else role.remaining
    return _TOKEN_STATES.index(role.token_state), role.last_error is None, remaining, role.role


def _busiest_first(row: AppRow) -> tuple[float, str]:
    return -row.counts.total, row.app.id


def _matching_apps(registry: Registry, text: str) -> Sequence[App]:
    folded = text.casefold()
    return [
        app
        for app in registry.apps.values()
        if not folded or folded in "\n".join((app.id, app.name, app.rules.bucket, app.role)).casefold()
    ]


def _matching_roles(roles: list[RoleState], text: str) -> list[RoleState]:
    return [role for role in roles if text.casefold() in role.role.casefold()]


def _sum(counts: Mapping[str, AppCounts]) -> AppCounts:
    total = AppCounts()
    for each in counts.values():
        total.signed += each.signed
        total.refused += each.refused
        total.failed += each.failed
    return total
