"""Takes edits over while the signer runs: all of an edit or nothing of it.

An edit that cannot be used leaves the definitions in force as they are, and is told in the log, a metric and /status.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from signer.clock import utc_now
from signer.definitions.diff import describe_changes
from signer.definitions.mistakes import BadDefinitions, Mistake
from signer.definitions.parser import Parser
from signer.definitions.registry import Registry
from signer.environment import CannotReadEnvironment, Environment
from signer.garbage_collection import without_garbage_collection
from signer.live.last_good import LastGood
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
    """Of what is in force."""
    changes: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    error: str | None = None
    """Why the store gave nothing."""
    needs_restart: tuple[str, ...] = ()
    """Settings that are others than at the start, and count only from the next one on."""


class Definitions:
    """A store's definitions, read with all that is needed to read them again."""

    def __init__(
        self,
        store: Store,
        environment: Environment,
        adapt: Callable[[Registry], Registry] = lambda registry: registry,
        last_good: LastGood | None = None,
    ) -> None:
        """`adapt` has the last word on each registry; the demo moves its apps onto the local cloud with it."""
        self.store = store
        self._environment = environment
        self._adapt = adapt
        self._last_good = last_good
        self._parser = Parser()

    async def begin(self) -> tuple[Registry, Outcome]:
        """What to start with: the store's, else the last good copy of it.

        Raises `CannotRead`, `BadDefinitions` and `CannotReadEnvironment`.
        """
        try:
            snapshot = await self.load()
            registry = await self.parse(snapshot.files)
        except (CannotRead, BadDefinitions) as error:
            if self._last_good is None:
                raise
            return await self._begin_with_copy(self._last_good, error)
        await self.keep(snapshot)
        return registry, Outcome(utc_now(), "start", True, snapshot.revision)

    async def _begin_with_copy(
        self, last_good: LastGood, trouble: CannotRead | BadDefinitions
    ) -> tuple[Registry, Outcome]:
        copy = await last_good.read()
        mistakes = tuple(trouble.mistakes) if isinstance(trouble, BadDefinitions) else ()
        if copy is None and mistakes:
            raise trouble
        if copy is None:
            raise CannotRead(f"{trouble}\nand there is no last good copy of it: {last_good.file}")
        try:
            registry = await self.parse(copy.snapshot.files)
        except BadDefinitions as error:
            raise CannotRead(f"{trouble}\nand the last good copy of it cannot be used either:\n{error}") from None
        told = f"running on the last good copy, kept at {copy.kept_at:%Y-%m-%dT%H:%M:%SZ}"
        why = told if mistakes else f"{trouble}; {told}"
        return registry, Outcome(utc_now(), "start", False, copy.snapshot.revision, mistakes=mistakes, error=why)

    async def keep(self, snapshot: Snapshot) -> None:
        """Makes this the last good copy."""
        if self._last_good is not None:
            await self._last_good.keep(snapshot)

    async def load(self) -> Snapshot:
        """Raises `CannotRead`."""
        return await self.store.load()

    async def parse(self, files: Mapping[str, str]) -> Registry:
        """Off the event loop. Raises `BadDefinitions` and `CannotReadEnvironment`."""
        return await asyncio.to_thread(self._read, files)

    def _read(self, files: Mapping[str, str]) -> Registry:
        with without_garbage_collection():
            return self._adapt(self._parser.read(files, self._environment.read()))


class Renewable(Protocol):
    """What besides definitions is taken over when somebody asks for a reload: the certificate of `server.tls`."""

    @property
    def error(self) -> str | None:
        """Why the last attempt kept what was in force."""

    @property
    def expires_at(self) -> datetime:
        """When what is in force ends."""

    async def renew(self, trigger: str) -> object: ...


class Reloader:
    def __init__(self, definitions: Definitions, service: Service, started: Outcome) -> None:
        """`started` is what `begin` gave, together with the registry that the service has in force."""
        self._definitions = definitions
        self._service = service
        self._one_at_a_time = asyncio.Lock()
        self._started_with = _fixed(service.current.registry)
        self.last = started
        self.renewable: Renewable | None = None
        service.metrics.reloaded(succeeded=started.succeeded)
        if not started.succeeded:
            wrong = _shortened([*map(str, started.mistakes), str(started.error)])
            log.warning("started from the last good copy", extra={"revision": started.revision, "mistakes": wrong})

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
        if self.renewable is not None and trigger != "change":
            await self.renewable.renew(trigger)
        async with self._one_at_a_time:
            in_force = self.last.revision
            try:
                snapshot = await self._definitions.load()
                if snapshot.revision == in_force and self.last.succeeded and trigger == "change":
                    return self.last
                registry = await self._definitions.parse(snapshot.files)
                told = await self._take(registry)
            except BadDefinitions as error:
                self._end(Outcome(utc_now(), trigger, False, in_force, mistakes=tuple(error.mistakes)))
            except (CannotRead, CannotReadEnvironment) as error:
                self._end(Outcome(utc_now(), trigger, False, in_force, error=str(error)))
            except Exception:
                # A defect of ours, or of a store of others, must not go unseen on the pages that tell of reloads.
                log.exception("internal error", extra={"trigger": trigger})
                self._end(Outcome(utc_now(), trigger, False, in_force, error="internal error; the log says where"))
            else:
                restart = tuple(self._needs_restart(registry))
                self._end(Outcome(utc_now(), trigger, True, snapshot.revision, told, needs_restart=restart))
                await self._definitions.keep(snapshot)
            return self.last

    async def _take(self, registry: Registry) -> tuple[str, ...]:
        before = self._service.current.registry
        told = await asyncio.to_thread(describe_changes, before, registry)
        await self._service.take(registry, settle_seconds=_SETTLE_SECONDS)
        former = _apps_of(before)
        del before
        await asyncio.to_thread(_let_go, former)
        return tuple(told)

    def _needs_restart(self, registry: Registry) -> Iterator[str]:
        for name, value in _fixed(registry).items():
            if value != self._started_with[name]:
                yield name

    def _end(self, outcome: Outcome) -> None:
        self.last = outcome
        self._service.metrics.reloaded(succeeded=outcome.succeeded)
        told = {"trigger": outcome.trigger, "revision": outcome.revision}
        if outcome.succeeded:
            log.info("definitions reloaded", extra=told | {"changes": _shortened(outcome.changes)})
            for name in outcome.needs_restart:
                log.warning(f"{name} is another than at the start; it needs a restart", extra=told)
            return
        wrong = [str(mistake) for mistake in outcome.mistakes] or [str(outcome.error)]
        log.error("reload refused; the definitions in force go on", extra=told | {"mistakes": _shortened(wrong)})


def _fixed(registry: Registry) -> dict[str, object]:
    """The settings that count from the start on, by name."""
    server = registry.server
    named = {f"server.{name}": getattr(server, name) for name in type(server).model_fields}
    return {**named, "limits": registry.limits, "audit": registry.audit}


def _shortened(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _LINES_IN_LOG
    return [*lines[:_LINES_IN_LOG], *([f"and {more} more"] if more > 0 else [])]


def _apps_of(registry: Registry) -> list[object]:
    written = {} if registry.document is None else registry.document.value["apps"]
    return [*registry.apps.values(), *written.values()]


def _let_go(apps: list[object]) -> None:
    """Drops them one by one, so that others get their turn; all at once would stop requests for as long as it takes."""
    while apps:
        apps.pop()
