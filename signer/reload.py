"""Takes edits over while the signer runs: all of an edit or nothing of it.

An edit that cannot be used leaves the definitions in force as they are, and is told in the log, a metric and /status.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from signer.credentials.cache import utc_now
from signer.definitions.diff import changes
from signer.definitions.mistakes import BadDefinitions, Mistake
from signer.definitions.parse import Parser
from signer.definitions.registry import Registry
from signer.environment import CannotReadEnvironment, Environment
from signer.service import Service
from signer.stores.protocol import CannotRead, Snapshot, Store

log = logging.getLogger("oss_signer.reload")

_SETTLE_SECONDS = 5.0
"""How long a reload waits for the tokens of new roles before it puts them in force."""
_LINES_IN_LOG = 50
_WATCH_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the last attempt to take definitions over ended."""

    at: datetime
    trigger: str
    succeeded: bool
    revision: str
    """Of what is in force; of what was refused, in `refused`."""
    changes: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    error: str | None = None
    """Why the store gave nothing."""
    needs_restart: tuple[str, ...] = ()
    """Settings that changed and count only from the next start on."""


class Definitions:
    """A store's definitions, read with all that is needed to read them again."""

    def __init__(
        self, store: Store, environment: Environment, adapt: Callable[[Registry], Registry] = lambda registry: registry
    ) -> None:
        """`adapt` has the last word on each registry; the demo moves its apps onto the local cloud with it."""
        self.store = store
        self._environment = environment
        self._adapt = adapt
        self._parser = Parser()

    async def load(self) -> Snapshot:
        """Raises `CannotRead`."""
        return await self.store.load()

    async def parse(self, files: Mapping[str, str]) -> Registry:
        """Off the event loop. Raises `BadDefinitions` and `CannotReadEnvironment`."""
        return await asyncio.to_thread(self._read, files)

    def _read(self, files: Mapping[str, str]) -> Registry:
        return self._adapt(self._parser.read(files, self._environment.read()))


class Reloader:
    def __init__(self, definitions: Definitions, service: Service, revision: str) -> None:
        """`revision` is that of what the service has in force."""
        self._definitions = definitions
        self._service = service
        self._one_at_a_time = asyncio.Lock()
        self.last = Outcome(utc_now(), "start", True, revision)
        service.metrics.reloaded(succeeded=True)
        _settle_memory()

    async def follow(self) -> None:
        """Reloads whenever the store says that something may have changed; runs until it is cancelled."""
        while True:
            try:
                async for _ in self._definitions.store.watch():
                    await self.reload("change")
            except Exception:
                log.exception("the store cannot be watched; trying again")
            await asyncio.sleep(_WATCH_AGAIN_SECONDS)

    async def reload(self, trigger: str) -> Outcome:
        """Takes over what the store holds now. Never raises for what an edit or a store can do wrong."""
        async with self._one_at_a_time:
            in_force = self.last.revision
            try:
                snapshot = await self._definitions.load()
                if snapshot.revision == in_force and self.last.succeeded and trigger == "change":
                    return self.last
                registry = await self._definitions.parse(snapshot.files)
            except BadDefinitions as error:
                self._end(Outcome(utc_now(), trigger, False, in_force, mistakes=tuple(error.mistakes)))
            except (CannotRead, CannotReadEnvironment) as error:
                self._end(Outcome(utc_now(), trigger, False, in_force, error=str(error)))
            else:
                await self._take(registry, snapshot.revision, trigger)
            return self.last

    async def _take(self, registry: Registry, revision: str, trigger: str) -> None:
        before = self._service.current.registry
        told = await asyncio.to_thread(changes, before, registry)
        await self._service.take(registry, settle_seconds=_SETTLE_SECONDS)
        _settle_memory()
        restart = tuple(
            f"server.{name}"
            for name in type(registry.server).model_fields
            if getattr(before.server, name) != getattr(registry.server, name)
        )
        self._end(Outcome(utc_now(), trigger, True, revision, changes=tuple(told), needs_restart=restart))

    def _end(self, outcome: Outcome) -> None:
        self.last = outcome
        self._service.metrics.reloaded(succeeded=outcome.succeeded)
        told = {"trigger": outcome.trigger, "revision": outcome.revision}
        if outcome.succeeded:
            log.info("definitions reloaded", extra=told | {"changes": _shortened(outcome.changes)})
            for name in outcome.needs_restart:
                log.warning(f"{name} changed; it counts from the next start on", extra=told)
            return
        wrong = [str(mistake) for mistake in outcome.mistakes] or [str(outcome.error)]
        log.error("reload refused; the definitions in force go on", extra=told | {"mistakes": _shortened(wrong)})


def _shortened(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _LINES_IN_LOG
    return [*lines[:_LINES_IN_LOG], *([f"and {more} more"] if more > 0 else [])]


def _settle_memory() -> None:
    """Ten thousand apps are a million objects that stay; a full collection would stop all requests to look at them."""
    gc.freeze()
