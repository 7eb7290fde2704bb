"""Reloads definitions while the signer runs: a valid edit becomes active as a whole, an invalid one changes nothing."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from signer.clock import utc_now
from signer.definitions.diff import describe_changes
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.registry import Registry
from signer.environment import CannotReadEnvironment
from signer.live.definition_source import DefinitionSource
from signer.live.reload_result import ReloadResult
from signer.service import Service
from signer.stores.protocol import CannotRead

log = logging.getLogger("oss_signer.reload")

_SETTLE_SECONDS = 5.0
"""How long a reload waits for the tokens of new roles before the definitions become active."""
_MAX_LOGGED_LINES = 50
_WATCH_RETRY_SECONDS = 5.0


class RenewableCertificate(Protocol):
    """The certificate of `server.tls`, which a requested reload loads again as well."""

    @property
    def error(self) -> str | None: ...
    @property
    def expires_at(self) -> datetime: ...
    async def renew(self, trigger: str) -> object: ...


class Reloader:
    """Activates changed definitions in a running service."""

    def __init__(
        self,
        source: DefinitionSource,
        service: Service,
        started: ReloadResult,
        *,
        watch_retry_seconds: float = _WATCH_RETRY_SECONDS,
    ) -> None:
        """Create a reloader for a service that runs on the registry of `source.start()`, whose result is `started`."""
        self._source = source
        self._service = service
        self._watch_retry_seconds = watch_retry_seconds
        self._lock = asyncio.Lock()
        self._settings_at_start = _settings(service.current.registry)
        self.last = started
        """How the latest attempt ended."""
        self.certificate: RenewableCertificate | None = None

    def record_start(self) -> None:
        """Count the load at start in the metrics, and log it if the last good copy was used."""
        self._service.metrics.record_reload(succeeded=self.last.succeeded)
        if not self.last.succeeded:
            reasons = _shorten([*map(str, self.last.mistakes), str(self.last.error)])
            log.warning("started from the last good copy", extra={"revision": self.last.revision, "mistakes": reasons})

    async def follow(self) -> None:
        """Reload whenever the store reports a possible change; runs until it is cancelled."""
        while True:
            try:
                async for _ in self._source.store.watch():
                    await self.reload("change")
            except Exception:
                log.exception("store watch failed")
            await asyncio.sleep(self._watch_retry_seconds)

    async def reload(self, trigger: str) -> ReloadResult:
        """Activate the store's current content, and return how that ended, also if it is unreadable or invalid.

        `trigger` is `change` if the store reported it, else what requested the reload.
        """
        if self.certificate is not None and trigger != "change":
            await self.certificate.renew(trigger)
        async with self._lock:
            revision = self.last.revision
            try:
                snapshot = await self._source.load()
                if snapshot.revision == revision and self.last.succeeded and trigger == "change":
                    return self.last
                registry = await self._source.parse(snapshot.files)
                changes = await self._activate(registry)
            except BadDefinitions as error:
                self._finish(ReloadResult(utc_now(), trigger, False, revision, mistakes=tuple(error.mistakes)))
            except (CannotRead, CannotReadEnvironment) as error:
                self._finish(ReloadResult(utc_now(), trigger, False, revision, error=str(error)))
            except Exception:
                # A defect, here or in a store from another package, must show up wherever reloads are reported.
                log.exception("internal error", extra={"trigger": trigger})
                reason = "internal error; see the log for its traceback"
                self._finish(ReloadResult(utc_now(), trigger, False, revision, error=reason))
            else:
                settings, former = _settings(registry), self._settings_at_start
                changed = tuple(name for name, value in settings.items() if value != former[name])
                self._finish(ReloadResult(utc_now(), trigger, True, snapshot.revision, changes, needs_restart=changed))
                await self._source.save_copy(snapshot)
            return self.last

    async def _activate(self, registry: Registry) -> tuple[str, ...]:
        """Activate a registry and return its differences from the former one."""
        former = self._service.current.registry
        changes = await asyncio.to_thread(describe_changes, former, registry)
        await self._service.activate(registry, settle_seconds=_SETTLE_SECONDS)
        apps: list[object] = [*former.apps.values()]
        if former.document is not None:
            apps += former.document.value["apps"].values()
        del former
        await asyncio.to_thread(_release_one_by_one, apps)
        return tuple(changes)

    def _finish(self, result: ReloadResult) -> None:
        self.last = result
        self._service.metrics.record_reload(succeeded=result.succeeded)
        fields = {"trigger": result.trigger, "revision": result.revision}
        if result.succeeded:
            log.info("definitions reloaded", extra=fields | {"changes": _shorten(result.changes)})
            for name in result.needs_restart:
                log.warning("changed setting needs a restart", extra=fields | {"setting": name})
            return
        reasons = [str(mistake) for mistake in result.mistakes] or [str(result.error)]
        log.error("reload rejected", extra=fields | {"mistakes": _shorten(reasons)})


def _settings(registry: Registry) -> dict[str, object]:
    """Return the settings that take effect only at start, by name."""
    server = registry.server
    named = {f"server.{name}": getattr(server, name) for name in type(server).model_fields}
    return {**named, "limits": registry.limits, "audit": registry.audit}


def _shorten(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _MAX_LOGGED_LINES
    return [*lines[:_MAX_LOGGED_LINES], *([f"and {more} more"] if more > 0 else [])]


def _release_one_by_one(apps: list[object]) -> None:
    """Release objects so that other threads can run in between; releasing all at once would pause requests."""
    while apps:
        apps.pop()
