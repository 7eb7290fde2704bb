"""All that the status page tells of one moment, gathered off the event loop; both forms of it are made from this."""

from __future__ import annotations

import heapq
import os
import platform
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import signer
from signer.admin.status.history import AppCounts, History, Point
from signer.admin.status.loop_lag import LoopLag
from signer.admin.status.process import memory_bytes, most_open_files, open_files
from signer.clock import utc_now
from signer.credentials.clock_skew import ClockState, clock_state
from signer.credentials.readiness import can_sign
from signer.credentials.refresh_windows import TokenState
from signer.credentials.role_state import RoleState
from signer.definitions.registry import App, Registry
from signer.live.reload_result import ReloadResult
from signer.live.reloader import Reloader, RenewableCertificate
from signer.service import Service

APPS_A_PAGE = 50
MOST_ROLES = 50
_NO_END = timedelta.max
_CERTIFICATE_ROOM = timedelta(days=7)
_OVER = timedelta()
_RECENT_POINTS = 10
"""Five minutes."""


@dataclass(frozen=True, slots=True)
class Question:
    """What of many apps and roles is asked for."""

    text: str = ""
    """Part of an id, name, bucket or role; any case."""
    page: int = 1


@dataclass(frozen=True, slots=True)
class AppRow:
    app: App
    counts: AppCounts


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that an operator should look at."""

    text: str
    severe: bool
    """Uploads fail, or will soon."""


@dataclass(frozen=True, slots=True)
class View:
    at: datetime
    started_at: datetime
    version: str
    python: str
    host: str
    worker: int | None
    pid: int
    memory_bytes: int
    open_files: int
    most_open_files: int
    loop_lag_seconds: float
    ready: bool
    clock: ClockState
    clock_skew_seconds: float
    queue_depth: int
    takes_callbacks: bool
    reload: ReloadResult
    roles: Sequence[RoleState]
    """All of them, those with trouble first, then by when they end."""
    shown_roles: Sequence[RoleState]
    matching_roles: int
    apps_of_role: Mapping[str, int]
    apps: int
    matching_apps: int
    shown_apps: Sequence[AppRow]
    """One page of those that were asked for, the busiest first."""
    totals: AppCounts
    """Of the last hour, ids that are no app's included."""
    points: Sequence[Point | None]
    question: Question
    pages: int
    certificate: RenewableCertificate | None
    """Of `server.tls`."""

    @property
    def uptime(self) -> timedelta:
        return self.at - self.started_at

    def troubles(self) -> Iterator[Trouble]:
        bad = [role for role in self.roles if not role.usable]
        lost = sum(self.apps_of_role.get(role.role, 0) for role in bad)
        for some, what, severe in (
            (bad, f"no usable token; {lost} app{'' if lost == 1 else 's'} cannot be signed for", True),
            (
                [role for role in self.roles if role.token_state is TokenState.SHORT],
                "a token too short for its apps",
                True,
            ),
            ([role for role in self.roles if role.usable and role.last_error], "its last refresh failed", False),
        ):
            if some:
                names = ", ".join(role.role for role in some[:5]) + (f" and {len(some) - 5} more" if some[5:] else "")
                yield Trouble(f"{names}: {what}", severe)
        if self.clock is not ClockState.GOOD:
            way = "fast" if self.clock_skew_seconds > 0 else "slow"
            yield Trouble(
                f"our clock is {abs(self.clock_skew_seconds):.0f} s {way}; OSS refuses forms that are 15 minutes off",
                self.clock is ClockState.WRONG,
            )
        if not self.reload.succeeded:
            yield Trouble("the last edit of the definitions is not in force", False)
        if self.certificate is not None:
            left = self.certificate.expires_at - self.at
            if self.certificate.error is not None:
                yield Trouble(f"a renewed certificate is not in force: {self.certificate.error}", False)
            if left < _CERTIFICATE_ROOM:
                yield Trouble(f"the certificate ends at {self.certificate.expires_at:%Y-%m-%d %H:%M} UTC", left < _OVER)
        if self.reload.needs_restart:
            yield Trouble(f"needs a restart: {', '.join(self.reload.needs_restart)}", False)
        if any(point is not None and point.failed_per_second > 0 for point in self.points[-_RECENT_POINTS:]):
            yield Trouble("requests failed on our side in the last five minutes", True)


def gather(
    service: Service,
    reloader: Reloader,
    history: History,
    loop_lag: LoopLag,
    question: Question,
    *,
    started_at: datetime,
    worker: int | None,
) -> View:
    """Reads what the event loop writes, and changes nothing: any thread may do it."""
    registry = service.current.registry
    roles = sorted(service.role_states(), key=_urgency)
    skew_seconds = service.clock_skew.seconds()
    counts = history.apps()
    text = question.text.casefold()
    matching_apps = (
        [app for app in registry.apps.values() if text in _searched(app)] if text else registry.apps.values()
    )
    matching_roles = [role for role in roles if text in role.role.casefold()] if text else roles
    page = min(question.page, pages := max(1, -(-len(matching_apps) // APPS_A_PAGE)))
    rows = heapq.nsmallest(
        page * APPS_A_PAGE, (AppRow(app, counts.get(app.id, _NO_COUNTS)) for app in matching_apps), key=_busiest
    )
    return View(
        at=utc_now(),
        started_at=started_at,
        version=signer.__version__,
        python=platform.python_version(),
        host=socket.gethostname(),
        worker=worker,
        pid=os.getpid(),
        memory_bytes=memory_bytes(),
        open_files=open_files(),
        most_open_files=most_open_files(),
        loop_lag_seconds=loop_lag.worst_seconds(),
        ready=can_sign(roles, skew_seconds),
        clock=clock_state(skew_seconds),
        clock_skew_seconds=skew_seconds,
        queue_depth=int(service.metrics.queue_depth()),
        takes_callbacks=_takes_callbacks(registry),
        reload=reloader.last,
        roles=roles,
        shown_roles=matching_roles[:MOST_ROLES],
        matching_roles=len(matching_roles),
        apps_of_role=Counter(app.role for app in registry.apps.values() if app.enabled),
        apps=len(registry.apps),
        matching_apps=len(matching_apps),
        shown_apps=rows[(page - 1) * APPS_A_PAGE :],
        totals=_sum(counts),
        points=history.points(),
        question=Question(question.text, page),
        pages=pages,
        certificate=reloader.certificate,
    )


_NO_COUNTS = AppCounts()


def _urgency(role: RoleState) -> tuple[int, bool, timedelta, str]:
    trouble = (TokenState.UNUSABLE, TokenState.SHORT, TokenState.FRESH).index(role.token_state)
    return trouble, role.last_error is None, _NO_END if role.remaining is None else role.remaining, role.role


def _busiest(row: AppRow) -> tuple[float, str]:
    return -row.counts.asked, row.app.id


def _searched(app: App) -> str:
    return "\n".join((app.id, app.name, app.rules.bucket, app.role)).casefold()


def _takes_callbacks(registry: Registry) -> bool:
    return any(app.callback is not None for app in registry.apps.values())


def _sum(counts: Mapping[str, AppCounts]) -> AppCounts:
    total = AppCounts()
    for each in counts.values():
        total.signed += each.signed
        total.refused += each.refused
        total.failed += each.failed
    return total
