"""What systemd sees of a signer: its status line, and the results of reloads that a signal requested."""

import logging
import os
import time
from pathlib import Path

from signer.definitions.quantities import format_count
from signer.file_calls import await_with_deadline
from signer.live.reloader import Reloader
from signer.server.reload_record import ReloadRecord
from signer.server.systemd_notify import ServiceManager
from signer.service import Service

log = logging.getLogger("oss_signer")


class Supervision:
    """Reports of one process to systemd and to the command `reload`."""

    def __init__(self, service: Service, reloader: Reloader, manager: ServiceManager, worker: int | None) -> None:
        self._service = service
        self._reloader = reloader
        self._manager = manager
        self._worker = worker
        self.admin_url = ""
        runtime_directory = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        self._record_path = ReloadRecord.path(Path(runtime_directory), worker) if runtime_directory else None

    async def report_ready(self) -> None:
        """Report that the process listens, and that each role has a credential or has failed once."""
        await self._write_record(ReloadRecord(os.getpid(), self.admin_url))
        self._manager.ready(self.status())

    async def reload(self) -> None:
        """Reload the definitions and the certificate, and record the result for the command `reload`."""
        started_at = time.monotonic()
        self._manager.reloading()
        outcome = await self._reloader.reload("SIGHUP")
        certificate = self._reloader.certificate
        reasons = (*outcome.mistakes, outcome.error, None if certificate is None else certificate.error)
        errors = [str(reason) for reason in reasons if reason is not None]
        succeeded = outcome.succeeded and not errors
        lines = [*outcome.changes, *errors]
        await self._write_record(ReloadRecord(os.getpid(), self.admin_url, started_at, succeeded, lines))
        self._manager.ready(self.status())

    async def watch(self) -> None:
        """Feed systemd's watchdog and refresh the status line until cancelled."""
        await self._manager.watch(self.status)

    def report_stopping(self, signal_name: str) -> None:
        """Report that a signal stops the process."""
        self._manager.stopping(f"{self._prefix()}stopping after {signal_name}")

    def status(self) -> str:
        """Return one line for `systemctl status`: apps, roles, and the result of the last reload."""
        apps = len(self._service.current.registry.apps)
        roles = self._service.role_states()
        usable = sum(role.is_usable for role in roles)
        last = self._reloader.last
        at = f"{last.at:%Y-%m-%d %H:%M:%S} UTC"
        definitions = f"definitions of {at}"
        if not last.succeeded:
            errors = format_count(len(last.mistakes) or 1, "error")
            definitions = f"RELOAD REJECTED at {at} with {errors}; the previous definitions stay active"
            definitions += "; each poll tries again" if last.is_retrying else ""
        return f"{self._prefix()}{apps} apps, {usable} of {len(roles)} roles usable, {definitions}"

    def _prefix(self) -> str:
        return "" if self._worker is None else f"worker {self._worker}: "

    async def _write_record(self, record: ReloadRecord) -> None:
        path = self._record_path
        if path is None:
            return
        try:
            await await_with_deadline(path, lambda: record.write(path))
        except OSError as error:
            log.warning("reload result not recorded", extra={"reason": error.strerror})
