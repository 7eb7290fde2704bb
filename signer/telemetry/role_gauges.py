"""The metrics of the roles at the moment of a scrape."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol

from prometheus_client.metrics_core import GaugeMetricFamily, Metric


class RoleGauges(Protocol):
    """What a scrape reads from a role's state."""

    @property
    def role(self) -> str: ...
    @property
    def is_usable(self) -> bool: ...
    @property
    def is_pending(self) -> bool: ...
    @property
    def expires_at(self) -> datetime | None: ...


def role_families(roles: Iterable[RoleGauges]) -> Iterator[Metric]:
    """Yield the gauges, with a series for each role."""
    expiry = GaugeMetricFamily(
        "oss_signer_credential_expiry_timestamp_seconds", "Expiry time of a role's token.", labels=["role"]
    )
    usable = GaugeMetricFamily(
        "oss_signer_credential_usable", "1 if the role has a token that can sign, else 0.", labels=["role"]
    )
    pending = GaugeMetricFamily(
        "oss_signer_credential_pending",
        "1 if the role's token was not needed yet, and will be fetched with its first request at the latest.",
        labels=["role"],
    )
    for state in roles:
        usable.add_metric([state.role], int(state.is_usable))
        pending.add_metric([state.role], int(state.is_pending))
        if state.expires_at is not None:
            expiry.add_metric([state.role], state.expires_at.timestamp())
    yield from (expiry, usable, pending)
