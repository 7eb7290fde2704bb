"""What breaks during the soak: each disturbance breaks one thing for the time of its block, and undoes it.

Dead DNS and clocks that jump are not among them: they need a network namespace and a fake clock for all processes of the
test. tests/faults/test_dead_dns.py and tests/delivery/test_queue_clocks.py cover them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from tests.faults.soak import service_disturbances as service
from tests.faults.soak import signer_disturbances as signer
from tests.faults.soak.world import TOKEN_SECONDS, World


@dataclass(frozen=True)
class Disturbance:
    """A disturbance, and for how long its block has to last at least."""

    start: Callable[[World, random.Random], AbstractAsyncContextManager[None]]
    min_seconds: float = 2.0

    @property
    def name(self) -> str:
        """Its name in the history."""
        return self.start.__name__


OUTLIVES_TOKENS_SECONDS = TOKEN_SECONDS + 2.0
DISTURBANCES = (
    Disturbance(service.redis_without_master),
    Disturbance(service.failing_sts, OUTLIVES_TOKENS_SECONDS),
    Disturbance(service.denied_roles, OUTLIVES_TOKENS_SECONDS),
    Disturbance(service.failing_app_server),
    Disturbance(service.rejected_events),
    Disturbance(signer.unread_log),
    Disturbance(signer.full_audit_disk),
    Disturbance(signer.full_queue_disk),
    Disturbance(signer.hung_secrets, OUTLIVES_TOKENS_SECONDS),
    Disturbance(signer.refused_definitions),
    Disturbance(signer.cold_roles),
    Disturbance(signer.repeated_reloads),
    Disturbance(signer.idle_connections),
    Disturbance(signer.never_reading_clients, 12.0),
)
