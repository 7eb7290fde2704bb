"""The metrics of temporary credentials of callers."""

from collections.abc import Callable, Iterable

from prometheus_client import Gauge

from signer.telemetry.counters import LabelledCounter


class TemporaryCredentialMetrics:
    """Counts requests and calls to STS."""

    def __init__(
        self,
        counter: Callable[[str, str, list[str]], LabelledCounter],
        gauge: Callable[[str, str, Iterable[str]], Gauge],
    ) -> None:
        """Create the metrics with functions that make and register a counter and a gauge."""
        self._gauge = gauge
        self.count_request: Callable[[str, str], None] = counter(
            "oss_signer_temporary_credentials",
            "Requests that need the temporary credential of a caller, by outcome: issued, cached, or refused.",
            ["app", "outcome"],
        ).add
        """Count a request, by app id and outcome."""
        self._fetches = counter(
            "oss_signer_temporary_credential_fetches",
            "Calls to STS for temporary credentials of callers, by outcome.",
            ["app", "outcome"],
        )

    def count_fetch(self, app_id: str, succeeded: bool) -> None:
        """Count a call to STS, by app id and outcome."""
        self._fetches.add(app_id, "success" if succeeded else "failure")

    def expose_state(self, *, waiting: Callable[[], int], cached: Callable[[], int]) -> None:
        """Call these functions at each scrape."""
        self._gauge(
            "oss_signer_temporary_credential_fetches_waiting",
            "Calls to STS for temporary credentials that wait for their turn.",
            (),
        ).set_function(waiting)
        self._gauge("oss_signer_temporary_credentials_cached", "Temporary credentials in memory.", ()).set_function(
            cached
        )
