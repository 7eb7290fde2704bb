"""The status as JSON."""

from collections import Counter

from signer.admin.definitions_endpoints import reload_members
from signer.admin.readiness import role_members
from signer.admin.status.alerts import find_alerts
from signer.admin.status.app_summary import signed_for, signs
from signer.admin.status.history import FAILED, POINT_SECONDS, REFUSED, SIGNED
from signer.admin.status.snapshot import AppRow, StatusSnapshot
from signer.clock import rfc3339
from signer.live.reloader import RenewableCertificate


def status_document(snapshot: StatusSnapshot) -> dict[str, object]:
    """Return the members of the JSON object."""
    process = snapshot.process
    return {
        "version": process.version,
        "python": process.python,
        "host": process.host,
        "worker": process.worker,
        "pid": process.pid,
        "at": rfc3339(snapshot.at),
        "started_at": rfc3339(process.started_at),
        "uptime_seconds": round(snapshot.uptime.total_seconds(), 1),
        "ready": snapshot.is_ready,
        "troubles": [{"text": alert.text, "severe": alert.is_severe} for alert in find_alerts(snapshot)],
        "clock": {"state": snapshot.clock, "skew_seconds": round(snapshot.clock_skew_seconds, 1)},
        "callback_queue_depth": snapshot.queue_depth,
        "callback_queue_error": snapshot.queue_error,
        "dead_letters": snapshot.dead_letters,
        "limits_error": snapshot.limits_error,
        "logs": [log._asdict() for log in snapshot.logs],
        "memory_bytes": process.memory_bytes,
        "open_files": process.open_files,
        "max_open_files": process.max_open_files,
        "event_loop_lag_seconds": round(snapshot.loop_lag_seconds, 4),
        "apps": snapshot.apps,
        "matching_apps": snapshot.matching_apps,
        "pages": snapshot.pages,
        "page": snapshot.query.page,
        "busiest_apps": [_app_members(row) for row in snapshot.shown_apps],
        "last_hour": {**_count_members(snapshot.totals), "seconds_per_point": POINT_SECONDS, "points": snapshot.points},
        "roles": [role_members(role) for role in sorted(snapshot.roles, key=lambda role: role.role)],
        "last_reload": reload_members(snapshot.last_reload),
        "certificate": None if snapshot.certificate is None else _certificate_members(snapshot.certificate),
    }


def _certificate_members(certificate: RenewableCertificate) -> dict[str, object]:
    return {
        "expires_at": rfc3339(certificate.expires_at),
        "error": certificate.error,
        "retrying": certificate.is_retrying,
    }


def _app_members(row: AppRow) -> dict[str, object]:
    app = row.app
    return {
        "id": app.id,
        "name": app.name,
        "enabled": app.enabled,
        "bucket": app.rules.bucket,
        "region": app.rules.region,
        "key_prefix": app.rules.naming.prefix.text,
        "signs": signs(app),
        "signed_for": signed_for(app),
        "role": app.role,
        "last_hour": _count_members(row.counts),
    }


def _count_members(counts: Counter[str]) -> dict[str, int]:
    return {kind: counts[kind] for kind in (SIGNED, REFUSED, FAILED)}
