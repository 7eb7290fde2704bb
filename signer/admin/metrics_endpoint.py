"""`/metrics`: the metrics of this process, for Prometheus."""

from __future__ import annotations

import asyncio

from signer.http.reply import Reply
from signer.http.router import Handler
from signer.revision import Context
from signer.service import Service
from signer.telemetry.metrics import CONTENT_TYPE


def metrics_handler(service: Service) -> Handler:
    """Return the handler of `/metrics`."""

    async def metrics(_context: Context) -> Reply:
        return Reply(200, await asyncio.to_thread(service.metrics.exposition), CONTENT_TYPE)

    return metrics
