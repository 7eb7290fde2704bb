"""The metrics of multipart uploads, and of the calls to OSS that they need."""

from collections.abc import Callable, Iterable

from signer.telemetry.counters import DurationHistogram, LabelledCounter

_CALL_BOUNDS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)


class MultipartMetrics:
    """Counts uploads, declared bytes, and calls to OSS."""

    def __init__(
        self,
        counter: Callable[[str, str, list[str]], LabelledCounter],
        histogram: Callable[[str, str, Iterable[float]], DurationHistogram],
    ) -> None:
        """Create the metrics with functions that make and register a counter and a histogram."""
        self.count: Callable[[str, str], None] = counter(
            "oss_signer_multipart_uploads",
            "Multipart uploads by what happened to them: started, completed, or aborted by the client.",
            ["app", "event"],
        ).add
        """Count an upload, by app id and event."""
        self._declared_bytes = counter(
            "oss_signer_multipart_declared_bytes", "Bytes that clients declared when they started uploads.", ["app"]
        )
        self._calls = counter(
            "oss_signer_oss_calls",
            "The signer's own calls to OSS by outcome: success, conflict, refused, failed, or rejected without a call.",
            ["operation", "outcome"],
        )
        self._call_duration = histogram(
            "oss_signer_oss_call_duration_seconds",
            "Time that a call to OSS took with its repetitions, whether it succeeded or not.",
            _CALL_BOUNDS_SECONDS,
        )

    def record_start(self, app_id: str, size_bytes: int) -> None:
        """Count an upload of a declared size."""
        self.count(app_id, "started")
        self._declared_bytes.increase(size_bytes, app_id)

    def record_call(self, operation: str, outcome: str, seconds: float) -> None:
        """Count a call to OSS, and add its duration unless it was rejected."""
        self._calls.add(operation, outcome)
        if outcome != "rejected":
            self._call_duration.add(seconds)
