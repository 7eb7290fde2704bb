"""HTTPS without a proxy before us: the certificate in force, and the next one when it is renewed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from signer.clock import utc_now
from signer.definitions import model
from signer.server.certificate import CannotUseCertificate, Pair, as_told, load, watch_of
from signer.server.sockets import CannotListen
from signer.telemetry.metrics import Metrics

log = logging.getLogger("oss_signer.tls")

_WATCH_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Renewal:
    """How the last attempt to take the files over ended."""

    at: datetime
    trigger: str
    error: str | None = None
    """Why the pair in force was kept; None: what the files hold is in force."""

    @property
    def succeeded(self) -> bool:
        return self.error is None


class Certificate:
    """The pair in force. New connections get it; those that stand go on with the one they began with."""

    def __init__(self, paths: model.Tls) -> None:
        """May block. Raises `CannotUseCertificate`."""
        self._paths = paths
        self._watch = watch_of(paths)
        self._one_at_a_time = asyncio.Lock()
        self.pair = load(paths, self._watch)
        self.last = Renewal(utc_now(), "start")
        self.context = self.pair.context
        """For listeners; each handshake goes on with the context of the pair then in force."""
        self.context.sni_callback = self._choose
        for key, why in self.pair.cautions(utc_now()):
            log.warning(f"server.tls.{key}: {why}")

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self.pair.context

    @property
    def error(self) -> str | None:
        return self.last.error

    @property
    def expires_at(self) -> datetime:
        return self.pair.expires_at

    async def follow(self) -> None:
        """Takes over what the files hold whenever they change; runs until it is cancelled."""
        while True:
            try:
                async for _ in self._watch.changes():
                    await self.renew("change")
            except Exception:
                log.exception("the certificate cannot be watched; trying again")
            await asyncio.sleep(_WATCH_AGAIN_SECONDS)

    async def renew(self, trigger: str) -> Renewal:
        """Takes over what the files hold now, or keeps what is in force. Never raises for what files can hold."""
        async with self._one_at_a_time:
            try:
                pair = await asyncio.to_thread(load, self._paths, self._watch)
                if pair.expires_at < utc_now() <= self.pair.expires_at:
                    raise CannotUseCertificate("certificate", f"ended at {as_told(pair.expires_at)}; renew it")
            except CannotUseCertificate as error:
                self.last = Renewal(utc_now(), trigger, str(error))
                told = {"trigger": trigger, "expires_at": as_told(self.pair.expires_at)}
                log.error(f"certificate refused; the one in force goes on: {error}", extra=told)
            else:
                self._take(pair, trigger)
            return self.last

    def _take(self, pair: Pair, trigger: str) -> None:
        if pair.fingerprint != self.pair.fingerprint:
            told = {"trigger": trigger, "names": list(pair.names), "expires_at": as_told(pair.expires_at)}
            log.info("certificate renewed", extra=told)
            for key, why in pair.cautions(utc_now()):
                log.warning(f"server.tls.{key}: {why}")
        elif not self.last.succeeded:
            log.info("certificate is good again", extra={"trigger": trigger})
        self.pair = pair
        self.last = Renewal(utc_now(), trigger)


@contextlib.asynccontextmanager
async def certificate_in_force(paths: model.Tls | None, metrics: Metrics) -> AsyncIterator[Certificate | None]:
    """The certificate to serve with, renewed as long as the block runs. Raises `CannotListen`."""
    if paths is None:
        yield None
        return
    try:
        certificate = await asyncio.to_thread(Certificate, paths)
    except CannotUseCertificate as error:
        raise CannotListen(str(error)) from None
    metrics.watch_certificate(
        expires_at=lambda: certificate.pair.expires_at.timestamp(), succeeded=lambda: certificate.error is None
    )
    following = asyncio.create_task(certificate.follow(), name="follow the certificate")
    try:
        yield certificate
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
