"""The text that Prometheus scrapes, made from plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from signer.telemetry.line_writer import LineWriter
from signer.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Role:
    role: str
    is_usable: bool
    expires_at: datetime | None
    is_pending: bool = False


@dataclass(frozen=True)
class Attempt:
    role: str
    reason: str
    succeeded: bool
    seconds: float


Series = tuple[str, tuple[tuple[str, str], ...]]


def scrape(metrics: Metrics) -> dict[Series, float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("oss_signer_")
    }


def test_counters_have_a_series_for_each_combination_of_labels() -> None:
    metrics = Metrics()
    metrics.count_signature("photos", "signed")
    metrics.count_signature("photos", "signed")
    metrics.count_signature("", "unknown_app")
    metrics.count_rate_limited("photos")
    metrics.count_code_exchange("photos", "limited")
    metrics.count_unreadable_hop()
    metrics.count_callback("photos", "accepted")
    metrics.count_notification("delivered")
    found = scrape(metrics)
    assert found["oss_signer_signatures_total", (("app", "photos"), ("outcome", "signed"))] == 2
    assert found["oss_signer_signatures_total", (("app", ""), ("outcome", "unknown_app"))] == 1
    assert found["oss_signer_rate_limited_total", (("app", "photos"),)] == 1
    assert found["oss_signer_code_exchanges_total", (("app", "photos"), ("outcome", "limited"))] == 1
    assert found["oss_signer_unreadable_forwarded_addresses_total", ()] == 1
    assert found["oss_signer_callbacks_total", (("app", "photos"), ("outcome", "accepted"))] == 1
    assert found["oss_signer_notifications_total", (("outcome", "delivered"),)] == 1
    assert metrics.signature_counts()[0] == [("photos", "signed"), ("", "unknown_app")]


def test_durations_fall_into_the_buckets_from_their_value_upwards() -> None:
    metrics = Metrics()
    for seconds in (0.001, 0.002, 60.0):
        metrics.observe_request(seconds)
    counts = dict(metrics.duration_counts())
    assert (counts[0.0005], counts[0.001], counts[0.0025], counts[10.0], counts[float("inf")]) == (0, 1, 2, 2, 3)
    found = scrape(metrics)
    assert found["oss_signer_request_duration_seconds_bucket", (("le", "0.001"),)] == 1
    assert found["oss_signer_request_duration_seconds_bucket", (("le", "+Inf"),)] == 3
    assert found["oss_signer_request_duration_seconds_sum", ()] == 60.003


def test_refreshes_are_counted_and_timed() -> None:
    metrics = Metrics()
    metrics.record_refresh(Attempt("r", "start", True, 0.2))
    metrics.record_refresh(Attempt("r", "retry", False, 5.0))
    found = scrape(metrics)
    labels = (("outcome", "failure"), ("reason", "retry"), ("role", "r"))
    assert found["oss_signer_credential_refreshes_total", labels] == 1
    assert found["oss_signer_credential_refresh_duration_seconds_count", ()] == 2
    assert found["oss_signer_credential_refresh_duration_seconds_bucket", (("le", "0.25"),)] == 1


def test_a_failed_reload_keeps_the_time_of_the_last_success() -> None:
    metrics = Metrics()
    metrics.record_reload(succeeded=True)
    succeeded_at = scrape(metrics)["oss_signer_config_last_reload_success_timestamp_seconds", ()]
    metrics.record_reload(succeeded=False, is_retrying=True)
    found = scrape(metrics)
    assert found["oss_signer_config_last_reload_successful", ()] == 0
    assert found["oss_signer_config_reload_retrying", ()] == 1
    assert found["oss_signer_config_last_reload_success_timestamp_seconds", ()] == succeeded_at > 0
    assert found["oss_signer_config_reloads_total", (("outcome", "failure"),)] == 1
    metrics.record_reload(succeeded=True)
    assert scrape(metrics)["oss_signer_config_reload_retrying", ()] == 0


def test_a_scrape_reads_the_state_of_that_moment() -> None:
    metrics = Metrics()
    roles = [Role("static", True, None), Role("sts", False, datetime(2026, 1, 1, tzinfo=UTC), True)]
    is_ready = False
    metrics.expose_state(
        roles=lambda: roles,
        clock_skew_seconds=lambda: -2.5,
        ready=lambda: is_ready,
        apps=lambda: ["a", "b", "c"],
        role_names=lambda: ["static", "sts"],
        fetches_waiting=lambda: 4,
    )
    metrics.expose_revision(lambda: "abc")
    metrics.expose_certificate(expires_at=lambda: 12.0, succeeded=lambda: True, is_retrying=lambda: False)
    metrics.expose_loop_lag(lambda: 0.25)
    is_available = False
    metrics.expose_callback_queue(
        depth=lambda: 7, is_available=lambda: is_available, dead_letters=lambda: 2, corrupt_files=lambda: 1
    )
    metrics.expose_limits(is_available=lambda: is_available)
    found = scrape(metrics)
    assert found["oss_signer_credential_usable", (("role", "static"),)] == 1
    assert found["oss_signer_credential_usable", (("role", "sts"),)] == 0
    assert found["oss_signer_credential_pending", (("role", "static"),)] == 0
    assert found["oss_signer_credential_pending", (("role", "sts"),)] == 1
    assert found["oss_signer_credential_fetches_waiting", ()] == 4
    assert ("oss_signer_credential_expiry_timestamp_seconds", (("role", "static"),)) not in found
    expiry = found["oss_signer_credential_expiry_timestamp_seconds", (("role", "sts"),)]
    assert expiry == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert found["oss_signer_clock_skew_seconds", ()] == -2.5
    assert found["oss_signer_config_apps", ()] == 3
    assert found["oss_signer_config_info", (("revision", "abc"),)] == 1
    assert found["oss_signer_tls_certificate_expiry_timestamp_seconds", ()] == 12
    assert found["oss_signer_tls_certificate_last_reload_successful", ()] == 1
    assert found["oss_signer_tls_certificate_reload_retrying", ()] == 0
    assert found["oss_signer_event_loop_lag_seconds", ()] == 0.25
    assert found["oss_signer_callback_queue_depth", ()] == 7 == metrics.queue_depth()
    assert found["oss_signer_callback_queue_available", ()] == 0
    assert found["oss_signer_limits_available", ()] == 0
    assert found["oss_signer_dead_letters", ()] == 2
    assert found["oss_signer_callback_queue_corrupt_files", ()] == 1
    assert found["oss_signer_ready", ()] == 0
    is_ready = is_available = True
    found = scrape(metrics)
    assert found["oss_signer_ready", ()] == 1
    assert found["oss_signer_callback_queue_available", ()] == 1
    assert found["oss_signer_limits_available", ()] == 1


def test_lost_lines_of_the_log_and_the_audit_log() -> None:
    def fail(_lines: memoryview) -> int:
        raise OSError("the disk is full")

    log, audit = LineWriter("log", lambda lines: len(lines)), LineWriter("audit", fail)
    metrics = Metrics()
    metrics.expose_log_lines([log, audit])
    for writer in (log, audit):
        writer.add(b"line\n")
        writer.close()
    found = scrape(metrics)
    assert found["oss_signer_log_lines_lost_total", (("sink", "log"),)] == 0
    assert found["oss_signer_log_lines_lost_total", (("sink", "audit"),)] == 1
    assert found["oss_signer_log_blocked_seconds", (("sink", "log"),)] == 0
    assert found["oss_signer_log_blocked_seconds", (("sink", "audit"),)] > 0


def test_series_of_removed_apps_and_roles_are_not_exposed() -> None:
    metrics = Metrics()
    apps, roles = {"a", "b"}, {"r", "s"}
    metrics.expose_state(
        roles=list,
        clock_skew_seconds=lambda: 0.0,
        ready=lambda: True,
        apps=lambda: apps,
        role_names=lambda: roles,
        fetches_waiting=lambda: 0,
    )
    for app in ("a", "b", ""):
        metrics.count_signature(app, "signed")
        metrics.count_callback(app, "accepted")
        metrics.count_rate_limited(app)
        metrics.count_code_exchange(app, "limited")
    for role in ("r", "s"):
        metrics.record_refresh(Attempt(role, "start", True, 0.1))
    metrics.count_notification("delivered")

    def labelled(name: str) -> list[str | None]:
        return [value for series, labels in scrape(metrics) for label, value in labels if label == name]

    assert (labelled("app").count("b"), labelled("role").count("s")) == (4, 1)
    apps.remove("b")
    roles.remove("s")
    metrics.count_signature("b", "signed")
    assert (set(labelled("app")), set(labelled("role"))) == ({"a", ""}, {"r"})
    assert scrape(metrics)["oss_signer_notifications_total", (("outcome", "delivered"),)] == 1
