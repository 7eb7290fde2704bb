"""What Prometheus is told: the names of DESIGN, all with the prefix `oss_signer_`.

Only counters are labelled by app, and only with ids of apps that exist, so that nobody can make series by asking.

Each worker is a process with a registry and an admin listener of its own, and Prometheus scrapes each as an instance.
prometheus_client's multiprocess mode would share files between workers instead: those of dead workers to clean up, a
rule for each gauge how to merge several workers' values, no process or garbage collector figures, and the counts of
workers that are gone for good. Here a gauge says what one process knows, and a dead worker's series end with it.
"""

from __future__ import annotations

import platform
from array import array
from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import signer
from signer.admin.readiness import can_sign
from signer.credentials.keeper import Refresh, RoleState
from signer.telemetry.tallies import Durations, Tally

CONTENT_TYPE = CONTENT_TYPE_LATEST

_BUCKETS_SECONDS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)

# When each series began: twice as many lines for every scrape, and Prometheus does not ask for it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """One process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        Gauge("oss_signer_build_info", "1; what runs.", ["version", "python"], registry=self._registry).labels(
            signer.__version__, platform.python_version()
        ).set(1)
        self._signatures = Tally(
            "oss_signer_signatures",
            "Forms asked for; outcome is signed or the code of the problem, app is empty where none is known.",
            ("app", "outcome"),
        )
        self._registry.register(self._signatures)
        self.signed = self._signatures.add
        """One more of an app, by outcome; "" where no app is known."""
        self._rate_limited = Counter(
            "oss_signer_rate_limited", "Requests refused for being too many.", ["app"], registry=self._registry
        )
        self._callbacks = Counter(
            "oss_signer_callbacks",
            "OSS's calls after uploads, by outcome.",
            ["app", "outcome"],
            registry=self._registry,
        )
        self._notifications = Counter(
            "oss_signer_notifications", "Attempts to hand callbacks on.", ["outcome"], registry=self._registry
        )
        self._queue_depth = Gauge(
            "oss_signer_callback_queue_depth", "Callbacks that wait to be handed on.", registry=self._registry
        )
        self._request_duration = Durations(
            "oss_signer_request_duration_seconds",
            "From the request's arrival to its answer.",
            _BUCKETS_SECONDS,
        )
        self._registry.register(self._request_duration)
        self.answered = self._request_duration.add
        """A request took so many seconds."""
        self._refreshes = Counter(
            "oss_signer_credential_refreshes",
            "Attempts to fetch a role's token, why and how they ended.",
            ["role", "reason", "outcome"],
            registry=self._registry,
        )
        self._reloads = Counter(
            "oss_signer_config_reloads",
            "Attempts to take definitions over, the start's included.",
            ["outcome"],
            registry=self._registry,
        )
        self._loop_lag = Gauge(
            "oss_signer_event_loop_lag_seconds",
            "The longest that the event loop let a timer wait in the last 15 s.",
            registry=self._registry,
        )
        self._reload_successful = Gauge(
            "oss_signer_config_last_reload_successful",
            "1 while the definitions in force are the store's newest, 0 after an edit that could not be used.",
            registry=self._registry,
        )
        self._reload_timestamp = Gauge(
            "oss_signer_config_last_reload_success_timestamp_seconds",
            "When definitions were last put in force.",
            registry=self._registry,
        )
        self._refresh_duration = Histogram(
            "oss_signer_credential_refresh_duration_seconds",
            "How long fetching a token took, well or not.",
            registry=self._registry,
        )

    def watch(
        self, *, roles: Callable[[], list[RoleState]], clock_skew_seconds: Callable[[], float], apps: Callable[[], int]
    ) -> None:
        """From now on a scrape also asks these for what is so at that moment."""
        self._registry.register(_Standing(roles, clock_skew_seconds, apps))

    def callback(self, app_id: str, outcome: str) -> None:
        self._callbacks.labels(app_id, outcome).inc()

    def notified(self, outcome: str) -> None:
        self._notifications.labels(outcome).inc()

    def watch_revision(self, revision: Callable[[], str]) -> None:
        """Of the definitions in force; workers that disagree on it are seen by comparing them."""
        self._registry.register(_Revision(revision))

    def watch_certificate(self, *, expires_at: Callable[[], float], succeeded: Callable[[], bool]) -> None:
        """Of `server.tls`: when the certificate in force ends, and whether it is what the files hold."""
        self._registry.register(_Certificate(expires_at, succeeded))

    def watch_loop_lag(self, seconds: Callable[[], float]) -> None:
        self._loop_lag.set_function(seconds)

    def watch_queue(self, depth: Callable[[], int]) -> None:
        self._queue_depth.set_function(depth)

    def rate_limited(self, app_id: str) -> None:
        self._rate_limited.labels(app_id).inc()

    def reloaded(self, *, succeeded: bool) -> None:
        self._reloads.labels("success" if succeeded else "failure").inc()
        self._reload_successful.set(int(succeeded))
        if succeeded:
            self._reload_timestamp.set_to_current_time()

    def refreshed(self, refresh: Refresh) -> None:
        outcome = "success" if refresh.succeeded else "failure"
        self._refreshes.labels(refresh.role, refresh.reason, outcome).inc()
        self._refresh_duration.observe(refresh.seconds)

    def signature_counts(self) -> tuple[list[tuple[str, str]], array[float]]:
        """App and outcome of each series, and how many forms were asked for since the start.

        New series come last, and none ever goes.
        """
        counts = dict(self._signatures.counts)
        return list(counts), array("d", counts.values())

    def duration_counts(self) -> list[tuple[float, float]]:
        """Upper bounds of request durations in seconds, and how many requests since the start were below each."""
        return self._request_duration.cumulative()

    def queue_depth(self) -> float:
        [gauge] = self._queue_depth.collect()
        return gauge.samples[0].value

    def exposition(self) -> bytes:
        """The text for a scrape; with many apps it takes milliseconds, so it is made off the event loop."""
        return generate_latest(self._registry)


class _Standing(Collector):
    def __init__(
        self, roles: Callable[[], list[RoleState]], clock_skew_seconds: Callable[[], float], apps: Callable[[], int]
    ) -> None:
        self._roles = roles
        self._clock_skew_seconds = clock_skew_seconds
        self._apps = apps

    def collect(self) -> Iterator[Metric]:
        expiry = GaugeMetricFamily(
            "oss_signer_credential_expiry_timestamp_seconds", "When the token that a role holds ends.", labels=["role"]
        )
        usable = GaugeMetricFamily(
            "oss_signer_credential_usable", "1 while the role holds a token that can be signed with.", labels=["role"]
        )
        states = self._roles()
        skew_seconds = self._clock_skew_seconds()
        for state in states:
            usable.add_metric([state.role], int(state.usable))
            if state.expires_at is not None:
                expiry.add_metric([state.role], state.expires_at.timestamp())
        yield expiry
        yield usable
        yield GaugeMetricFamily(
            "oss_signer_clock_skew_seconds",
            "Our clock minus that of the STS or metadata service furthest from it.",
            value=skew_seconds,
        )
        ready = can_sign(states, skew_seconds)
        yield GaugeMetricFamily("oss_signer_ready", "1 while /readyz answers 200.", value=int(ready))
        yield GaugeMetricFamily("oss_signer_config_apps", "Apps in the definitions in force.", value=self._apps())


class _Revision(Collector):
    def __init__(self, revision: Callable[[], str]) -> None:
        self._revision = revision

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "oss_signer_config_info", "1; the revision of the definitions in force.", labels=["revision"]
        )
        info.add_metric([self._revision()], 1)
        yield info


class _Certificate(Collector):
    def __init__(self, expires_at: Callable[[], float], succeeded: Callable[[], bool]) -> None:
        self._expires_at = expires_at
        self._succeeded = succeeded

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "oss_signer_tls_certificate_expiry_timestamp_seconds",
            "When the certificate in force ends.",
            value=self._expires_at(),
        )
        yield GaugeMetricFamily(
            "oss_signer_tls_certificate_last_reload_successful",
            "1 while the certificate in force is what its files hold, 0 after files that could not be used.",
            value=int(self._succeeded()),
        )
