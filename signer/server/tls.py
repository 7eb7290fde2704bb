"""TLS without a proxy: the active certificate, and its replacement when the files are renewed."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from datetime import datetime

from signer.clock import rfc3339, utc_now
from signer.definitions import model
from signer.server.certificate import CannotUseCertificate, LoadedCertificate, certificate_poller, load_certificate
from signer.server.sockets import CannotListen
from signer.stores.file_polling import FilePoller
from signer.telemetry.metrics import Metrics

log = logging.getLogger("oss_signer.tls")

_RESTART_WATCH_SECONDS = 5.0


class ActiveCertificate:
    """The certificate for new connections; open connections keep the one they started with."""

    def __init__(self, paths: model.Tls, poller: FilePoller, loaded: LoadedCertificate) -> None:
        self._paths = paths
        self._poller = poller
        self._lock = asyncio.Lock()
        self._loaded = loaded
        self.error: str | None = None
        """Why the last attempt kept the active certificate; None after a success."""
        self.is_retrying = False
        """Whether the files are loaded again on each poll, since they could not be read."""
        self.context = loaded.context
        """For listeners. Each handshake switches to the context of the certificate that is active then."""
        self.context.sni_callback = self._use_active_context

    def _use_active_context(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._loaded.context

    @property
    def expires_at(self) -> datetime:
        """When the active certificate expires."""
        return self._loaded.expires_at

    async def follow(self) -> None:
        """Load the files whenever they change, until cancelled."""
        while True:
            try:
                async for _ in self._poller.changes():
                    await self.renew("change")
            except Exception:
                log.exception("certificate watch failed")
            await asyncio.sleep(_RESTART_WATCH_SECONDS)

    async def renew(self, trigger: str) -> None:
        """Activate what the files contain now, or keep the active certificate if they cannot be used."""
        async with self._lock:
            try:
                loaded = await load_certificate(self._paths, self._poller)
                if loaded.expires_at < utc_now() <= self._loaded.expires_at:
                    raise CannotUseCertificate("certificate", f"expired at {rfc3339(loaded.expires_at)}; renew it")
            except CannotUseCertificate as error:
                self._reject(error, trigger)
            else:
                self._activate(loaded, trigger)

    def _reject(self, error: CannotUseCertificate, trigger: str) -> None:
        is_known = trigger == "change" and error.is_transient and str(error) == self.error
        self.error, self.is_retrying = str(error), error.is_transient
        if not is_known:  # Each poll tries again.
            fields = {"trigger": trigger, "expires_at": rfc3339(self._loaded.expires_at), "error": self.error}
            log.error("certificate rejected", extra={**fields, "is_retrying": self.is_retrying})

    def _activate(self, loaded: LoadedCertificate, trigger: str) -> None:
        if loaded.fingerprint != self._loaded.fingerprint:
            fields = {"trigger": trigger, "names": list(loaded.names), "expires_at": rfc3339(loaded.expires_at)}
            log.info("certificate renewed", extra=fields)
            _log_warnings(loaded)
        elif self.error is not None:
            log.info("certificate valid again", extra={"trigger": trigger})
        self._loaded = loaded
        self.error, self.is_retrying = None, False


@contextlib.asynccontextmanager
async def active_certificate(paths: model.Tls | None, metrics: Metrics) -> AsyncIterator[ActiveCertificate | None]:
    """Yield the certificate to serve with, or None without `server.tls`, and renew it during the block.

    It raises `CannotListen` if the files cannot be used.
    """
    if paths is None:
        yield None
        return
    poller = certificate_poller(paths)
    try:
        loaded = await load_certificate(paths, poller)
    except CannotUseCertificate as error:
        raise CannotListen(str(error)) from None
    _log_warnings(loaded)
    certificate = ActiveCertificate(paths, poller, loaded)
    metrics.expose_certificate(
        expires_at=lambda: certificate.expires_at.timestamp(),
        succeeded=lambda: certificate.error is None,
        is_retrying=lambda: certificate.is_retrying,
    )
    following = asyncio.create_task(certificate.follow(), name="follow the certificate")
    try:
        yield certificate
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _log_warnings(loaded: LoadedCertificate) -> None:
    for file, reason in loaded.warnings(utc_now()):
        log.warning("certificate problem", extra={"setting": f"server.tls.{file}", "reason": reason})
