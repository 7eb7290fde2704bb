"""A service in the test's own process, with definitions in a file that tests edit and reload."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from signer.environment import Environment
from signer.live.definition_source import DefinitionSource
from signer.live.reloader import Reloader
from signer.service import Service
from signer.stores.store_factory import open_store


@contextlib.asynccontextmanager
async def reloadable_service(config: Path) -> AsyncIterator[tuple[Service, Reloader]]:
    """Start a service from a file, and wait until each role has a token or has failed once."""
    environment = Environment({})
    source = DefinitionSource(open_store(str(config)), environment)
    registry, started = await source.start()
    async with Service(registry, environment) as service:
        await service.settle(timeout_seconds=30)
        reloader = Reloader(source, service, started)
        reloader.record_start()
        yield service, reloader
