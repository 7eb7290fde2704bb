"""Which apps are unhealthy now, and how the signer may answer their requests."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator

CREATED = 201


class Health:
    """All apps are healthy at first."""

    def __init__(self) -> None:
        self._statuses: Counter[tuple[str, int]] = Counter()
        self._queue_faults = 0
        self.may_close_idle_connections = False
        """Whether the signer has more connections than it may have."""

    def allowed_statuses(self, app: str) -> set[int]:
        """Return the statuses that a request for an app may have now."""
        return {CREATED, *(status for (name, status), count in self._statuses.items() if name == app and count)}

    @property
    def is_queue_healthy(self) -> bool:
        """Whether callbacks have to be accepted."""
        return self._queue_faults == 0

    @contextlib.contextmanager
    def unhealthy(self, apps: Iterable[str], status: int) -> Iterator[None]:
        """Allow a status for these apps until the end of the block."""
        changes = Counter({(app, status): 1 for app in apps})
        self._statuses.update(changes)
        try:
            yield
        finally:
            self._statuses.subtract(changes)

    @contextlib.contextmanager
    def unhealthy_queue(self) -> Iterator[None]:
        """Let callbacks fail until the end of the block."""
        self._queue_faults += 1
        try:
            yield
        finally:
            self._queue_faults -= 1
