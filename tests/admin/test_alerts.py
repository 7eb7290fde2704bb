"""The alerts of the status page, each from a snapshot with one condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from signer.admin.status.alerts import Alert, find_alerts
from signer.admin.status.history import Point
from signer.admin.status.html_page import status_page
from signer.admin.status.snapshot import LogState, StatusSnapshot
from signer.clock import utc_now
from signer.credentials.clock_skew import ClockState
from signer.credentials.refresh_windows import TokenState
from signer.credentials.role import RoleState
from signer.live.reload_result import ReloadResult
from tests.admin.conftest import Admin, StartAdmin
from tests.admin.test_reload_endpoint import Certificate

HOUR = timedelta(hours=1)


def role(name: str, token_state: TokenState = TokenState.FRESH, **changes: Any) -> RoleState:
    now = utc_now()
    state = RoleState(
        role=name,
        token_state=token_state,
        circuit_open=False,
        expires_at=now + HOUR,
        remaining=HOUR,
        last_error=None,
        next_attempt_at=now + HOUR / 2,
        fetched_at=now - HOUR,
        required_lifetime=HOUR / 4,
    )
    return replace(state, **changes)


def point(*, failed_per_second: float) -> Point:
    return Point(0.0, 1.0, 0.0, failed_per_second, 0.001, 0.002, 0.0, 1_000_000, 0.0)


def reload_result(**changes: Any) -> ReloadResult:
    return replace(ReloadResult(utc_now(), "change", True, "r1"), **changes)


@pytest.fixture
async def admin(start_admin: StartAdmin) -> Admin:
    return await start_admin()


@pytest.fixture
async def snapshot(admin: Admin) -> StatusSnapshot:
    """A snapshot without alerts."""
    document = await admin.get_json("/status")
    assert document["troubles"] == []
    return admin.status.snapshot()


Change = Callable[[StatusSnapshot], dict[str, Any]]


@pytest.mark.parametrize(
    ("change", "alert"),
    [
        (
            lambda _: {"roles": [role("a", TokenState.UNUSABLE, remaining=None)], "apps_of_role": {"a": 2}},
            Alert("a: no usable token; 2 apps cannot sign", True),
        ),
        (
            lambda _: {"roles": [role(f"r{number}", TokenState.UNUSABLE) for number in range(7)]},
            Alert("r0, r1, r2, r3, r4 and 2 more: no usable token; 0 apps cannot sign", True),
        ),
        (
            lambda _: {"roles": [role("a", TokenState.SHORT)]},
            Alert("a: the token is too short for its apps", True),
        ),
        (
            lambda _: {"roles": [role("a", last_error="timeout")]},
            Alert("a: the last refresh failed", False),
        ),
        (
            lambda _: {"clock": ClockState.OFF, "clock_skew_seconds": 400.4},
            Alert("this machine's clock is 400 s fast; OSS rejects forms that are 15 minutes off", False),
        ),
        (
            lambda _: {"clock": ClockState.WRONG, "clock_skew_seconds": -900.0},
            Alert("this machine's clock is 900 s slow; OSS rejects forms that are 15 minutes off", True),
        ),
        (
            lambda _: {"last_reload": reload_result(succeeded=False)},
            Alert("the last edit of the definitions is not active", False),
        ),
        (
            lambda _: {"last_reload": reload_result(succeeded=False, is_retrying=True)},
            Alert("the last edit of the definitions is not active; each poll tries again", False),
        ),
        (
            lambda _: {"last_reload": reload_result(needs_restart=("server.listen", "audit"))},
            Alert("changed settings that need a restart: server.listen, audit", False),
        ),
        (
            lambda _: {"certificate": Certificate("server.tls.key: is encrypted")},
            Alert("the renewed certificate is not active: server.tls.key: is encrypted", False),
        ),
        (
            lambda _: {"certificate": Certificate("server.tls.key: cannot be read", is_retrying=True)},
            Alert(
                "the renewed certificate is not active: server.tls.key: cannot be read; each poll tries again", False
            ),
        ),
        (
            lambda _: {"queue_error": "the disk is full"},
            Alert("the callback queue is unavailable: the disk is full", True),
        ),
        (
            lambda _: {"corrupt_queue_files": ["/var/lib/q.db.corrupt-1"]},
            Alert(
                "the callback queue was corrupt and was moved to /var/lib/q.db.corrupt-1; "
                "check the disk, then delete it",
                True,
            ),
        ),
        (
            lambda _: {"dead_letters": 1},
            Alert("1 callback could not be delivered; see oss-signer events list", False),
        ),
        (
            lambda _: {"limits_error": "connection refused"},
            Alert(
                "the Redis of limits is unavailable: connection refused; each signer counts alone, or rejects", False
            ),
        ),
        (
            lambda _: {"logs": [LogState("log", 4.0, 7), LogState("audit", 40.4, 0)]},
            Alert("the audit log: no line could be written for 40 s", False),
        ),
        (
            lambda _: {"logs": [LogState("log", 6.0, 0)]},
            Alert("the log: no line could be written for 6 s", False),
        ),
        (
            lambda before: {"points": [*before.points[:-1], point(failed_per_second=0.1)]},
            Alert("requests failed because of this signer in the last five minutes", True),
        ),
    ],
)
def test_a_condition_is_an_alert(snapshot: StatusSnapshot, change: Change, alert: Alert) -> None:
    changed = replace(snapshot, **change(snapshot))
    assert find_alerts(changed) == [alert]
    kind = "bad" if alert.is_severe else "warn"
    assert f'<ul class="alerts" id="alerts"><li class="{kind}">' in status_page(changed)


@pytest.mark.parametrize(
    ("remaining", "text", "is_severe"),
    [(timedelta(days=3), "the certificate expires at ", False), (-HOUR, "the certificate expired at ", True)],
)
def test_a_certificate_is_an_alert_in_its_last_week(
    snapshot: StatusSnapshot, remaining: timedelta, text: str, is_severe: bool
) -> None:
    [alert] = find_alerts(replace(snapshot, certificate=Certificate(remaining=remaining)))
    assert alert.text.startswith(text) and alert.is_severe is is_severe


def test_failures_of_an_earlier_time_are_no_alert(snapshot: StatusSnapshot) -> None:
    points = [point(failed_per_second=0.1), *snapshot.points[1:]]
    assert find_alerts(replace(snapshot, points=points)) == []


@pytest.mark.parametrize(
    ("state", "cells"),
    [
        (role("a"), ["50 % of the token&#39;s lifetime left", '<line class="tick" x1="12.5"', "1 h", "fresh"]),
        (role("a", fetched_at=None), ["100 % of the token&#39;s lifetime left"]),
        (role("a", TokenState.SHORT, circuit_open=True), ["too short, fetching paused"]),
        (role("a", TokenState.UNUSABLE, remaining=-HOUR), ["expired 1 h ago", "nothing left"]),
        (role("a", TokenState.UNUSABLE, remaining=None, next_attempt_at=None), ["no token", "–"]),
        (role("a", remaining=None, next_attempt_at=utc_now()), ["does not expire", "now"]),
    ],
)
def test_a_role_is_a_row_with_its_time_left(snapshot: StatusSnapshot, state: RoleState, cells: list[str]) -> None:
    page = status_page(replace(snapshot, roles=[state], shown_roles=[state], matching_roles=1))
    row = page[page.index('<tr data-key="a">') :].partition("</tr>")[0]
    assert all(cell in row for cell in cells), row


def test_further_roles_are_counted(snapshot: StatusSnapshot) -> None:
    assert "and 12 more; roles with problems are first" in status_page(replace(snapshot, matching_roles=13))


def test_apps_with_callbacks_have_a_chart_of_their_queue(snapshot: StatusSnapshot) -> None:
    assert "Event loop lag, the last hour" in status_page(snapshot)
    assert "Waiting callbacks, the last hour" in status_page(replace(snapshot, has_callbacks=True))


def test_a_chart_has_a_gap_where_points_are_missing(snapshot: StatusSnapshot) -> None:
    known = point(failed_per_second=0.0)
    page = status_page(replace(snapshot, points=[known, known, None, known, *[None] * 116]))
    [line] = [part for part in page.split('<path class="line good" d="')[1:] if part.startswith("M0 ")][:1]
    assert line.partition('"')[0].count("M") == 2


def test_the_clock_skew_is_shown_from_one_second(snapshot: StatusSnapshot) -> None:
    assert "accurate" in status_page(snapshot)
    assert "+2.5 s" in status_page(replace(snapshot, clock_skew_seconds=2.5))
