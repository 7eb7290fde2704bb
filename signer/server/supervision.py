"""The life of a signer as a supervisor sees it: what it tells of itself, and a reload that somebody waits for."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

from signer.live.reload import Reloader
from signer.server.reload_record import ReloadRecord
from signer.server.systemd_notify import ServiceManager
from signer.service import Service

log = logging.getLogger("oss_signer")


class Life:
    """`worker` is which of several on this machine this one is, from 1; None: the only one."""

    def __init__(self, service: Service, reloader: Reloader, manager: ServiceManager, worker: int | None) -> None:
        self._service = service
        self._reloader = reloader
        self._manager = manager
        self._worker = worker
        runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        self._record = None if not runtime else ReloadRecord.path(Path(runtime), worker)

    async def began(self) -> None:
        """It listens, and each role has a credential or has failed once."""
        await self._put_on_record(ReloadRecord(os.getpid()))
        self._manager.ready(self.status())

    async def reload(self) -> None:
        """As somebody asked for by a signal, and waits to hear how it ended."""
        began = time.monotonic()
        self._manager.reloading()
        outcome = await self._reloader.reload("SIGHUP")
        wrong = [str(mistake) for mistake in outcome.mistakes] or ([] if outcome.error is None else [outcome.error])
        renewable = self._reloader.renewable
        if renewable is not None and renewable.error is not None:
            wrong.append(renewable.error)
        succeeded = outcome.succeeded and not wrong
        await self._put_on_record(ReloadRecord(os.getpid(), began, succeeded, [*outcome.changes, *wrong]))
        self._manager.ready(self.status())

    async def watch(self) -> None:
        """Until it is cancelled."""
        await self._manager.watch(self.status)

    def ending(self, why: str) -> None:
        self._manager.stopping(f"{self._name()}ending after {why}")

    def status(self) -> str:
        """One line for `systemctl status`: apps, roles, and how the last reload ended."""
        registry = self._service.current.registry
        roles = self._service.role_states()
        usable = sum(role.usable for role in roles)
        last = self._reloader.last
        told = f"{last.at:%Y-%m-%d %H:%M:%S} UTC"
        if last.succeeded:
            definitions = f"definitions of {told}"
        else:
            definitions = f"RELOAD REFUSED at {told}: {len(last.mistakes) or 1} wrong; the former definitions go on"
        return f"{self._name()}{len(registry.apps)} apps, {usable} of {len(roles)} roles usable, {definitions}"

    def _name(self) -> str:
        return "" if self._worker is None else f"worker {self._worker}: "

    async def _put_on_record(self, record: ReloadRecord) -> None:
        if self._record is None:
            return
        try:
            await asyncio.to_thread(record.write, self._record)
        except OSError as error:
            log.warning("how a reload ended cannot be noted", extra={"reason": error.strerror})
