"""HTTP requests of the steps: limited in time, number and pace. The Date of the responses gives the clock skew."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from signer.credentials.clock_skew import ClockSkew, ServerDate
from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.issuer import Issuer
from signer.doctor.findings import Finding, Subject
from signer.outbound import new_session, read_response

_MAX_CONCURRENT_STEPS = 16
_STEPS_PER_SECOND = 40.0
_STEP_TIMEOUTS = 3
"""A step may take this many times the limit of one request."""
_MAX_RESPONSE_BYTES = 256 * 1024

HOSTNAME_MISMATCH = 62
"""X509_V_ERR_HOSTNAME_MISMATCH, the `verify_code` of a certificate for another name.

See: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
"""

Step = Coroutine[Any, Any, Finding | list[Finding]]


class NoResponse(Exception):
    """No response, or one that cannot be read. The text gives the reason and holds neither URL nor secret."""


@dataclass(frozen=True, slots=True)
class ProbeResponse:
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    text: str


class HttpProbe:
    """Runs steps and sends their requests. Create it with `open`, in the event loop that uses it."""

    def __init__(self, session: aiohttp.ClientSession, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self.clocks: dict[str, ClockSkew] = {}
        """The skew of our clock against each server's."""
        self._session = session
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT_STEPS)
        self._pacer = FetchPacer(_STEPS_PER_SECOND, burst=_MAX_CONCURRENT_STEPS)
        self._queue = Issuer()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, timeout_seconds: float) -> AsyncIterator[HttpProbe]:
        """Yield a probe whose requests take at most `timeout_seconds` each."""
        async with new_session() as session:
            yield cls(session, timeout_seconds)

    async def run(self, subject: Subject, step: Step) -> list[Finding]:
        """Run a step in its turn and return its findings. An exception becomes a finding, so that other steps run."""
        async with self._slots:
            await self._pacer.queue_and_wait(self._queue)
            limit_seconds = _STEP_TIMEOUTS * self.timeout_seconds
            try:
                async with asyncio.timeout(limit_seconds):
                    found = await step
                return found if isinstance(found, list) else [found]
            except NoResponse as error:
                return [subject.failed(str(error), "check DNS, route, firewall and proxy between this machine and it")]
            except TimeoutError:
                return [subject.failed(f"not finished within {limit_seconds:g} s", "run again with a larger --timeout")]
            except Exception as error:
                # The text of an unexpected exception may quote a secret.
                return [subject.not_checked(f"this check itself failed ({type(error).__name__}); please report it")]

    async def request(self, url: str, *, method: str = "GET", dated: bool = False, **options: Any) -> ProbeResponse:
        """Send one request, without following redirects; raise `NoResponse` if there is no readable response in time.

        `dated` compares this machine's clock with the Date of the response. `options` are aiohttp's.
        """
        sent_at = time.monotonic()
        try:
            async with (
                asyncio.timeout(self.timeout_seconds),
                self._session.request(method, url, allow_redirects=False, **options) as response,
            ):
                body = await read_response(response, _MAX_RESPONSE_BYTES)
                headers = {name.lower(): value for name, value in response.headers.items()}
        except TimeoutError:
            raise NoResponse(f"no response within {self.timeout_seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoResponse(connection_error(error)) from None
        if dated:
            self.record_date(urlsplit(url).netloc, headers.get("date"), sent_at)
        return ProbeResponse(response.status, headers, body.decode(errors="replace"))

    def record_date(self, server: str, date: str | None, sent_at: float) -> None:
        """Compare our clock with a Date header. `sent_at` is the request's time by the monotonic clock, in seconds."""
        with contextlib.suppress(TypeError, ValueError):
            self.observe(ServerDate(server, parsedate_to_datetime(date or ""), sent_at, time.monotonic()))

    def observe(self, response: ServerDate) -> None:
        """Compare our clock with a dated response of a server."""
        self.clocks.setdefault(response.server, ClockSkew()).observe(response)


def connection_error(error: BaseException) -> str:
    """Describe why a server cannot be reached, without its URL: the query may hold a secret."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        is_mismatch = getattr(error.certificate_error, "verify_code", 0) == HOSTNAME_MISMATCH
        return "its TLS certificate is for another name" if is_mismatch else "its TLS certificate is not valid"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be reached ({os.strerror(error.errno).lower()})"
    return f"cannot be reached ({type(error).__name__})"
