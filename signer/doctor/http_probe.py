"""How steps ask others: bounded in time, not too many at once, and every Date that comes back is noted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from signer.credentials.clock_skew import ClockSkew
from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.server_dates import DatedAnswer
from signer.doctor.findings import About, Finding
from signer.outbound import new_session, whole_body

_AT_ONCE = 16
_PER_SECOND = 40.0
_MAX_ANSWER_BYTES = 256 * 1024


Step = Coroutine[Any, Any, Finding | list[Finding]]


class NoAnswer(Exception):
    """Nothing came back, or what cannot be read; the text says why, and holds neither URL nor secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str


class Asking:
    """Make it in the loop that it is used in, with `Asking.open`."""

    def __init__(self, session: aiohttp.ClientSession, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self.clocks: dict[str, ClockSkew] = {}
        """By server, how far our clock is from its own."""
        self._session = session
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._pacer = FetchPacer(_PER_SECOND, _AT_ONCE)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, timeout_seconds: float) -> AsyncIterator[Asking]:
        session = new_session()
        try:
            yield cls(session, timeout_seconds)
        finally:
            await session.close()

    async def check(self, about: About, step: Step) -> list[Finding]:
        """What a step finds, when it is its turn. Whatever goes wrong in it is a finding, since the others go on."""
        async with self._places:
            await self._pacer.wait(urgent=False)
            try:
                async with asyncio.timeout(3 * self.timeout_seconds):
                    found = await step
                return found if isinstance(found, list) else [found]
            except NoAnswer as error:
                return [about.failed(str(error), "see that this machine may reach it: DNS, route, firewall, proxy")]
            except TimeoutError:
                seconds = 3 * self.timeout_seconds
                return [about.failed(f"not done within {seconds:g} s", "try again with a larger --timeout")]
            except Exception as error:
                # The text of an unforeseen one may quote what must not be told.
                return [about.not_checked(f"this check itself broke ({type(error).__name__}); please report it")]

    async def get(self, url: str, *, method: str = "GET", dated: bool = False, **options: Any) -> Answer:
        """`dated`: its Date counts for the clock. Redirects are not followed. Raises `NoAnswer`."""
        asked_at = time.monotonic()
        try:
            async with (
                asyncio.timeout(self.timeout_seconds),
                self._session.request(method, url, allow_redirects=False, **options) as response,
            ):
                body = await whole_body(response, _MAX_ANSWER_BYTES)
                headers = {name.lower(): value for name, value in response.headers.items()}
        except TimeoutError:
            raise NoAnswer(f"no answer within {self.timeout_seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(why(error)) from None
        if dated:
            self.note_date(urlsplit(url).netloc, headers.get("date"), asked_at)
        return Answer(response.status, headers, body.decode(errors="replace"))

    def note_date(self, server: str, date: str | None, asked_at: float) -> None:
        """`date` as HTTP writes it; `asked_at` by the monotonic clock, in seconds."""
        with contextlib.suppress(TypeError, ValueError):
            noted = DatedAnswer(server, parsedate_to_datetime(date or ""), asked_at, time.monotonic())
            self.observe(noted)

    def observe(self, answer: DatedAnswer) -> None:
        self.clocks.setdefault(answer.server, ClockSkew(now=lambda: datetime.now(UTC))).observe(answer)


def why(error: BaseException) -> str:
    """In words that hold no URL, since a query may hold a secret."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its TLS certificate is not valid"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be reached ({os.strerror(error.errno).lower()})"
    return f"cannot be reached ({type(error).__name__})"
