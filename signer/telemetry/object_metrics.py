"""The metrics of stored objects: URLs that read them, and deletes."""

from collections.abc import Callable

from signer.telemetry.counters import LabelledCounter


class ObjectMetrics:
    """Counts the results of requests for several objects, one by one."""

    def __init__(self, counter: Callable[[str, str, list[str]], LabelledCounter]) -> None:
        """Create the metrics with a function that makes and registers a counter."""
        self._downloads = counter(
            "oss_signer_download_urls",
            "Objects that clients requested URLs for, by outcome: signed, or refused.",
            ["app", "outcome"],
        )

        self.count_delete: Callable[[str], None] = counter(
            "oss_signer_objects_deleted", "Objects that clients have deleted.", ["app"]
        ).add
        """Count an object, by app id."""

    def record_downloads(self, app_id: str, *, signed: int, refused: int) -> None:
        """Count the objects of one request."""
        for outcome, count in (("signed", signed), ("refused", refused)):
            if count:
                self._downloads.increase(count, app_id, outcome)
