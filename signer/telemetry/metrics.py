"""The metrics of one process for Prometheus; docs/monitoring.md describes why workers do not share theirs.

Only counters have the label `app`, and its values are ids of existing apps, so that no client can create series.
"""

from __future__ import annotations

import platform
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, Gauge, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

import signer
from signer.telemetry.counters import DurationHistogram, LabelledCounter, ScrapeCollector
from signer.telemetry.line_writer import LineWriter
from signer.telemetry.multipart_metrics import MultipartMetrics
from signer.telemetry.object_metrics import ObjectMetrics
from signer.telemetry.role_gauges import RoleGauges, role_families
from signer.telemetry.temporary_credential_metrics import TemporaryCredentialMetrics

CONTENT_TYPE = CONTENT_TYPE_LATEST

_REQUEST_BOUNDS_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)


class RefreshMetrics(Protocol):
    """A finished attempt to fetch a role's token, and why it was made."""

    @property
    def role(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def succeeded(self) -> bool: ...
    @property
    def seconds(self) -> float: ...


class Metrics:
    """One process's metrics in a registry of their own."""

    def __init__(self) -> None:
        """Create the metrics; other packages add their values with the `expose_` methods."""
        self._registry = CollectorRegistry()
        self._existing: dict[str, Callable[[], Collection[str]]] = {}
        """By label, the values that exist now. Series of removed apps and roles are not exposed."""
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._gauge("oss_signer_build_info", "Always 1; the labels are the versions.", ["version", "python"]).labels(
            signer.__version__, platform.python_version()
        ).set(1)
        self._signatures = self._counter(
            "oss_signer_signatures",
            "Requests for a signature by outcome: signed, or the code of the problem. "
            "The app is empty if the request names no existing app.",
            ["app", "outcome"],
        )
        self.count_signature: Callable[[str, str], None] = self._signatures.add
        """Count a request for a signature, by app id ("" without an app) and outcome."""
        self.count_signatures: Callable[[int, str, str], None] = self._signatures.increase
        """Count several of them."""
        self._request_duration = self._histogram(
            "oss_signer_request_duration_seconds",
            "Time from receiving a request on the public address to its response, without multipart uploads, deletes "
            "and requests for temporary credentials.",
            _REQUEST_BOUNDS_SECONDS,
        )
        self.observe_request: Callable[[float], None] = self._request_duration.add
        """Add the duration of a request in seconds."""
        self.count_rate_limited: Callable[[str], None] = self._counter(
            "oss_signer_rate_limited", "Requests rejected because of a rate limit.", ["app"]
        ).add
        """Count a request, by app id."""
        self.count_quota_exceeded: Callable[[str], None] = self._counter(
            "oss_signer_quota_exceeded", "Uploads rejected because of a limit of bytes.", ["app"]
        ).add
        """Count an upload, by app id."""
        self.count_bytes: Callable[[int, str], None] = self._counter(
            "oss_signer_counted_bytes", "Bytes of the files that limits of bytes have accepted.", ["app"]
        ).increase
        """Count a file, by its bytes and app id."""
        self.count_code_exchange: Callable[[str, str], None] = self._counter(
            "oss_signer_code_exchanges",
            "Login codes by outcome: admitted to WeChat or another platform, or limited by rate_limit.authentication.",
            ["app", "outcome"],
        ).add
        """Count a code of wx.login, by app id and outcome."""
        self.count_unreadable_hop: Callable[[], None] = self._counter(
            "oss_signer_unreadable_forwarded_addresses",
            "Requests whose X-Forwarded-For has no readable client address; the proxy's is used instead.",
            [],
        ).add
        """Count a request."""
        self.count_callback: Callable[[str, str], None] = self._counter(
            "oss_signer_callbacks", "Callbacks received from OSS after uploads, by outcome.", ["app", "outcome"]
        ).add
        """Count a callback, by app id and outcome."""
        self.count_notification: Callable[[str], None] = self._counter(
            "oss_signer_notifications", "Attempts to deliver callbacks to the servers of apps, by outcome.", ["outcome"]
        ).add
        """Count an attempt, by outcome."""
        self.multipart = MultipartMetrics(self._counter, self._histogram)
        self.objects = ObjectMetrics(self._counter)
        self.temporary_credentials = TemporaryCredentialMetrics(self._counter, self._gauge)
        self._queue_depth = self._gauge("oss_signer_callback_queue_depth", "Callbacks waiting for delivery.")
        self._refreshes = self._counter(
            "oss_signer_credential_refreshes",
            "Attempts to fetch a role's token, by reason and outcome.",
            ["role", "reason", "outcome"],
        )
        self._refresh_duration = self._histogram(
            "oss_signer_credential_refresh_duration_seconds",
            "Time that an attempt to fetch a token took, whether it succeeded or not.",
            Histogram.DEFAULT_BUCKETS[:-1],
        )
        self._reloads = self._counter(
            "oss_signer_config_reloads", "Attempts to load definitions, including the one at start.", ["outcome"]
        )
        self._reload_successful = self._gauge(
            "oss_signer_config_last_reload_successful", "1 if the last attempt to load definitions succeeded, else 0."
        )
        self._reload_retrying = self._gauge(
            "oss_signer_config_reload_retrying",
            "1 if the last attempt failed for a reason outside of the definitions and is retried on each poll, else 0.",
        )
        self._reload_timestamp = self._gauge(
            "oss_signer_config_last_reload_success_timestamp_seconds",
            "Time of the last successful load of definitions.",
        )
        self._loop_lag = self._gauge(
            "oss_signer_event_loop_lag_seconds", "Longest delay of a timer of the event loop in the last 15 seconds."
        )

    def record_refresh(self, attempt: RefreshMetrics) -> None:
        """Count an attempt to fetch a token, and add its duration."""
        self._refreshes.add(attempt.role, attempt.reason, _outcome(attempt.succeeded))
        self._refresh_duration.add(attempt.seconds)

    def record_reload(self, *, succeeded: bool, is_retrying: bool = False) -> None:
        """Count an attempt to load definitions; one that ends like the attempt before it is not counted again."""
        self._reloads.add(_outcome(succeeded))
        self._reload_retrying.set(int(is_retrying))
        self._reload_successful.set(int(succeeded))
        if succeeded:
            self._reload_timestamp.set_to_current_time()

    def expose_state(
        self,
        *,
        roles: Callable[[], Iterable[RoleGauges]],
        clock_skew_seconds: Callable[[], float],
        ready: Callable[[], bool],
        apps: Callable[[], Collection[str]],
        role_names: Callable[[], Collection[str]],
        fetches_waiting: Callable[[], int],
    ) -> None:
        """Call these functions at each scrape; `apps` are the ids of the apps that exist."""
        self._existing.update(app=apps, role=role_names)
        self.expose(lambda: role_families(roles()))
        self._gauge(
            "oss_signer_clock_skew_seconds",
            "This machine's clock minus that of the STS or metadata service that differs most.",
        ).set_function(clock_skew_seconds)
        self._gauge("oss_signer_ready", "1 if /readyz returns 200, else 0.").set_function(ready)
        self._gauge("oss_signer_config_apps", "Apps in the active definitions.").set_function(lambda: len(apps()))
        self._gauge(
            "oss_signer_credential_fetches_waiting", "Fetches of tokens that wait for their turn."
        ).set_function(fetches_waiting)

    def expose(self, collect: Callable[[], Iterator[Metric]]) -> None:
        """Call `collect` at each scrape, and expose the metrics that it yields."""
        self._registry.register(ScrapeCollector(collect))

    def expose_revision(self, revision: Callable[[], str]) -> None:
        """Call `revision` at each scrape; workers with different definitions differ in it."""

        def collect() -> Iterator[Metric]:
            info = GaugeMetricFamily(
                "oss_signer_config_info", "Always 1; the label is the revision of the definitions.", labels=["revision"]
            )
            info.add_metric([revision()], 1)
            yield info

        self.expose(collect)

    def expose_certificate(
        self, *, expires_at: Callable[[], float], succeeded: Callable[[], bool], is_retrying: Callable[[], bool]
    ) -> None:
        """Call these functions at each scrape for the expiry time and the last reload of `server.tls`."""
        self._gauge(
            "oss_signer_tls_certificate_expiry_timestamp_seconds", "Expiry time of the active certificate."
        ).set_function(expires_at)
        self._gauge(
            "oss_signer_tls_certificate_last_reload_successful",
            "1 if the last attempt to load the certificate files succeeded, else 0.",
        ).set_function(succeeded)
        self._gauge(
            "oss_signer_tls_certificate_reload_retrying",
            "1 if the certificate files could not be read and are read again on each poll, else 0.",
        ).set_function(is_retrying)

    def expose_log_lines(self, writers: Iterable[LineWriter]) -> None:
        """Read the counts of these writers, of the log and the audit log, at each scrape."""

        def collect() -> Iterator[Metric]:
            lost = CounterMetricFamily(
                "oss_signer_log_lines_lost",
                "Lines that were lost because the sink (log or audit) does not accept them, or too slowly.",
                labels=["sink"],
            )
            blocked = GaugeMetricFamily(
                "oss_signer_log_blocked_seconds",
                "Time since the last line was written, while lines wait; 0 if none wait.",
                labels=["sink"],
            )
            for writer in writers:
                lost.add_metric([writer.sink], writer.lost_lines)
                blocked.add_metric([writer.sink], writer.blocked_seconds())
            yield lost
            yield blocked

        self.expose(collect)

    def expose_loop_lag(self, seconds: Callable[[], float]) -> None:
        self._loop_lag.set_function(seconds)

    def expose_limits(self, *, is_available: Callable[[], bool]) -> None:
        """Call this function at each scrape for the state of the Redis of `limits`."""
        self._gauge(
            "oss_signer_limits_available", "1 if the Redis of limits counts, 0 if each signer counts alone or rejects."
        ).set_function(is_available)

    def expose_callback_queue(
        self,
        *,
        depth: Callable[[], int],
        is_available: Callable[[], bool],
        dead_letters: Callable[[], int],
        corrupt_files: Callable[[], int],
    ) -> None:
        """Call these functions at each scrape for the state of `server.callback_queue`."""
        self._queue_depth.set_function(depth)
        self._gauge(
            "oss_signer_callback_queue_available", "1 if the callback queue works, 0 if callbacks are rejected."
        ).set_function(is_available)
        self._gauge(
            "oss_signer_dead_letters",
            "Callbacks that are not delivered any more until an operator retries or drops them.",
        ).set_function(dead_letters)
        self._gauge(
            "oss_signer_callback_queue_corrupt_files", "Corrupt files of the callback queue that were moved aside."
        ).set_function(corrupt_files)

    def signature_counts(self) -> tuple[list[tuple[str, ...]], array[float]]:
        """Return the labels (app, outcome) of all series, and their counts in the same order.

        Series are never removed, and new ones are last.
        """
        counts = dict(self._signatures.counts)
        return list(counts), array("d", counts.values())

    def duration_counts(self) -> list[tuple[float, float]]:
        """Return each bucket's upper bound in seconds, and the number of requests up to it."""
        return self._request_duration.cumulative()

    def queue_depth(self) -> float:
        """Return the number of callbacks waiting for delivery."""
        [gauge] = self._queue_depth.collect()
        return gauge.samples[0].value

    def exposition(self) -> bytes:
        """Return the text of a scrape; with many apps this takes milliseconds, so call it in a thread."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, documentation: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(name, documentation, labels, registry=self._registry)

    def _counter(self, name: str, documentation: str, labels: list[str]) -> LabelledCounter:
        counter = LabelledCounter(name, documentation, labels, self._existing)
        self._registry.register(counter)
        return counter

    def _histogram(self, name: str, documentation: str, bounds_seconds: Iterable[float]) -> DurationHistogram:
        histogram = DurationHistogram(name, documentation, tuple(bounds_seconds))
        self._registry.register(histogram)
        return histogram


def _outcome(succeeded: bool) -> str:
    return "success" if succeeded else "failure"
