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
from signer.stores.protocol import CannotRead, Snapshot

log = logging.getLogger("oss_signer.reload")

_SETTLE_SECONDS = 5.0
"""How long a reload waits for the tokens of new roles before the definitions become active."""
_MAX_LOGGED_LINES = 50
_WATCH_RETRY_SECONDS = 5.0
_AUTOMATIC = ("change", "retry")
"""Triggers of reloads that were not requested."""
_POLL_SECONDS = 1.0
_DEFECT = "internal error; see the log for its traceback"


class RenewableCertificate(Protocol):
    """The certificate of `server.tls`, which a requested reload loads again as well."""

    @property
    def error(self) -> str | None: ...
    @property
    def is_retrying(self) -> bool: ...
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
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        """Create a reloader for a service that runs on the registry of `source.start()`, whose result is `started`."""
        self._source = source
        self._service = service
        self._watch_retry_seconds = watch_retry_seconds
        self._poll_seconds = poll_seconds
        self._lock = asyncio.Lock()
        self._settings_at_start = _settings(service.current.registry)
        self.last = started
        """How the latest attempt ended."""
        self._rejected: tuple[object, ...] | None = None
        """The revision that the latest attempt rejected, and why."""
        self._waits_for_environment = bool(started.mistakes)
        """Whether another content of a variable or file may end the next attempt otherwise."""
        self.certificate: RenewableCertificate | None = None

    def record_start(self) -> None:
        """Count the load at start in the metrics, and log it if the last good copy was used."""
        self._service.metrics.record_reload(succeeded=self.last.succeeded, is_retrying=self.last.is_retrying)
        if not self.last.succeeded:
            reasons = _shorten([*map(str, self.last.mistakes), str(self.last.error)])
            log.warning("started from the last good copy", extra={"revision": self.last.revision, "mistakes": reasons})

    async def follow(self) -> None:
        """Reload whenever the store reports a possible change, and retry what may pass; runs until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_store())
            tasks.create_task(self._retry())

    async def _follow_store(self) -> None:
        while True:
            try:
                async for _ in self._source.store.watch():
                    await self.reload("change")
            except Exception:
                log.exception("store watch failed")
            await asyncio.sleep(self._watch_retry_seconds)

    async def _retry(self) -> None:
        """Reload when a file that rejected definitions refer to has changed, which the store does not report."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                if self._waits_for_environment and await self._source.has_environment_changed():
                    await self.reload("retry")
            except OSError as error:
                log.warning("reload not retried", extra={"error": error.strerror})

    async def reload(self, trigger: str) -> ReloadResult:
        """Activate the store's current content, and return how that ended, also if it is unreadable or invalid.

        `trigger` is `change` if the store reported it, `retry` after a rejection, else what requested the reload.
        """
        if self.certificate is not None and trigger not in _AUTOMATIC:
            await self.certificate.renew(trigger)
        async with self._lock:
            snapshot: Snapshot | None = None
            try:
                snapshot = await self._source.load()
                if snapshot.revision == self.last.revision and self.last.succeeded and trigger == "change":
                    return self.last
                registry = await self._source.parse(snapshot.files)
                changes = await self._activate(registry)
            except Exception as error:
                if _reason(error) == _DEFECT:
                    # It may be in a store from another package. It must show up wherever reloads are reported.
                    log.exception("internal error", extra={"trigger": trigger})
                self._reject(error, trigger, snapshot)
            else:
                settings, former = _settings(registry), self._settings_at_start
                changed = tuple(name for name, value in settings.items() if value != former[name])
                self._accept(ReloadResult(utc_now(), trigger, True, snapshot.revision, changes, needs_restart=changed))
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

    def _accept(self, result: ReloadResult) -> None:
        self.last = result
        self._rejected, self._waits_for_environment = None, False
        self._service.metrics.record_reload(succeeded=True)
        fields = {"trigger": result.trigger, "revision": result.revision}
        log.info("definitions reloaded", extra=fields | {"changes": _shorten(result.changes)})
        for name in result.needs_restart:
            log.warning("changed setting needs a restart", extra=fields | {"setting": name})

    def _reject(self, error: Exception, trigger: str, snapshot: Snapshot | None) -> None:
        mistakes = tuple(error.mistakes) if isinstance(error, BadDefinitions) else ()
        reason = None if mistakes else _reason(error)
        self._waits_for_environment = isinstance(error, BadDefinitions | CannotReadEnvironment | OSError)
        rejected = (None if snapshot is None else snapshot.revision, mistakes, reason)
        if trigger in _AUTOMATIC and rejected == self._rejected:
            return  # Each poll may try again.
        self._rejected = rejected
        is_retrying = _may_pass(error)
        revision = self.last.revision
        self.last = ReloadResult(
            utc_now(), trigger, False, revision, mistakes=mistakes, error=reason, is_retrying=is_retrying
        )
        self._service.metrics.record_reload(succeeded=False, is_retrying=is_retrying)
        reasons = [str(mistake) for mistake in mistakes] or [str(reason)]
        fields = {"trigger": trigger, "revision": revision, "mistakes": _shorten(reasons), "is_retrying": is_retrying}
        log.error("reload rejected", extra=fields)


def _may_pass(error: Exception) -> bool:
    """Return whether the same definitions may become active later without an edit."""
    if isinstance(error, BadDefinitions | CannotRead):
        return error.is_transient
    return isinstance(error, CannotReadEnvironment | OSError)


def _reason(error: Exception) -> str:
    if isinstance(error, BadDefinitions | CannotRead | CannotReadEnvironment):
        return str(error)
    if isinstance(error, OSError) and error.strerror is not None:
        return f"the definitions cannot be activated: {error.strerror}"
    return _DEFECT


def _settings(registry: Registry) -> dict[str, object]:
    """Return the settings that take effect only at start, by name."""
    server = registry.server
    named = {f"server.{name}": getattr(server, name) for name in server.restart_keys()}
    return {**named, "limits": registry.limits, "audit": registry.audit}


def _shorten(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _MAX_LOGGED_LINES
    return [*lines[:_MAX_LOGGED_LINES], *([f"and {more} more"] if more > 0 else [])]


def _release_one_by_one(apps: list[object]) -> None:
    """Release objects so that other threads can run in between; releasing all at once would pause requests."""
    while apps:
        apps.pop()
