"""The status as JSON for programs, and the parts of it that other admin routes tell too."""

from __future__ import annotations

from signer.admin.status.history import POINT_SECONDS, AppCounts, Point
from signer.admin.status.view import AppRow, View
from signer.clock import rfc3339
from signer.credentials.role_state import RoleState
from signer.live.reload_result import ReloadResult
from signer.live.reloader import RenewableCertificate


def document(view: View) -> dict[str, object]:
    return {
        "version": view.version,
        "python": view.python,
        "host": view.host,
        "worker": view.worker,
        "pid": view.pid,
        "at": rfc3339(view.at),
        "started_at": rfc3339(view.started_at),
        "uptime_seconds": round(view.uptime.total_seconds(), 1),
        "ready": view.ready,
        "troubles": [{"text": trouble.text, "severe": trouble.severe} for trouble in view.troubles()],
        "clock": {"state": view.clock, "skew_seconds": round(view.clock_skew_seconds, 1)},
        "callback_queue_depth": view.queue_depth,
        "memory_bytes": view.memory_bytes,
        "open_files": view.open_files,
        "most_open_files": view.most_open_files,
        "event_loop_lag_seconds": round(view.loop_lag_seconds, 4),
        "apps": view.apps,
        "matching_apps": view.matching_apps,
        "pages": view.pages,
        "page": view.question.page,
        "busiest_apps": [_app(row) for row in view.shown_apps],
        "last_hour": {
            **_counts(view.totals),
            "seconds_a_point": POINT_SECONDS,
            "points": [_point(point) for point in view.points],
        },
        "roles": [role(state) for state in sorted(view.roles, key=lambda state: state.role)],
        "last_reload": outcome(view.reload),
        "certificate": None if view.certificate is None else _certificate(view.certificate),
    }


def _certificate(certificate: RenewableCertificate) -> dict[str, object]:
    return {"expires_at": rfc3339(certificate.expires_at), "error": certificate.error}


def outcome(reload: ReloadResult) -> dict[str, object]:
    return {
        "at": rfc3339(reload.at),
        "trigger": reload.trigger,
        "succeeded": reload.succeeded,
        "revision": reload.revision,
        "changes": reload.changes,
        "needs_restart": reload.needs_restart,
        "mistakes": [mistake.members() for mistake in reload.mistakes],
        "error": reload.error,
    }


def role(state: RoleState) -> dict[str, object]:
    return {
        "role": state.role,
        "state": state.token_state,
        "usable": state.usable,
        "circuit_open": state.circuit_open,
        "expires_at": None if state.expires_at is None else rfc3339(state.expires_at),
        "expires_in_seconds": None if state.remaining is None else round(state.remaining.total_seconds(), 1),
        "last_error": state.last_error,
        "next_attempt_at": None if state.next_attempt_at is None else rfc3339(state.next_attempt_at),
    }


def _app(row: AppRow) -> dict[str, object]:
    app = row.app
    return {
        "id": app.id,
        "name": app.name,
        "enabled": app.enabled,
        "bucket": app.rules.bucket,
        "region": app.rules.region,
        "role": app.role,
        "last_hour": _counts(row.counts),
    }


def _counts(counts: AppCounts) -> dict[str, int]:
    return {"signed": int(counts.signed), "refused": int(counts.refused), "failed": int(counts.failed)}


def _point(point: Point | None) -> dict[str, object] | None:
    if point is None:
        return None
    return {
        "seconds_ago": point.seconds_ago,
        "signed_per_second": round(point.signed_per_second, 3),
        "refused_per_second": round(point.refused_per_second, 3),
        "failed_per_second": round(point.failed_per_second, 3),
        "median_seconds": point.median_seconds,
        "p99_seconds": point.p99_seconds,
        "callback_queue_depth": point.queue_depth,
        "memory_bytes": point.memory_bytes,
        "event_loop_lag_seconds": round(point.loop_lag_seconds, 4),
    }
