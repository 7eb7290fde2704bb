"""One temporary credential for each caller: cached, fetched once however many requests need it, and renewed early.

Its fetches have a pace of their own, and nothing here is shared with the fetches for roles: a crowd of new callers
delays neither forms nor the refreshes of roles. STS allows an account 100 calls per second.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cachetools import TLRUCache

from signer.circuit_breaker import CircuitBreaker
from signer.credentials.fair_pacer import FairPacer, LaneTurn
from signer.credentials.sources.credential_source import FetchFailed, Source, fetch_valid
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential

log = logging.getLogger("oss_signer.credentials")

MAX_CREDENTIALS = 20_000
"""How many credentials are cached: some 40 MB. The least recently used ones are dropped and fetched again."""
MAX_WAIT_SECONDS = 3.0
"""The longest time that a request waits for a credential."""
MIN_LIFETIME = timedelta(minutes=5)
"""The lifetime that a returned credential has at least."""
_MAX_RETRY_SECONDS = 10.0
_USUAL_FETCH_SECONDS = 0.5
"""Within this time, nearly every fetch has ended."""


class Outcome(StrEnum):
    """How a request for a temporary credential ended."""

    ISSUED = "issued"
    CACHED = "cached"
    REFUSED = "refused"
    """Too many others wait, or STS issued none in time."""


@dataclass(frozen=True, slots=True)
class CallerRequest:
    """A request for the credential of one caller of an app."""

    app_id: str
    key: Hashable
    """Equal for requests that may get the same credential."""
    duration: timedelta
    source: Callable[[], Source]
    """Returns the source of a new credential."""
    until: datetime | None = None
    """A cached credential that is valid until then is returned, also below half of its lifetime."""


class CallerCredentials:
    """The temporary credentials of all callers of all apps. Use and close it in one event loop."""

    def __init__(
        self,
        per_second: float,
        *,
        on_request: Callable[[str, str], None] = lambda _app_id, _outcome: None,
        on_fetch: Callable[[str, bool], None] = lambda _app_id, _succeeded: None,
        wall_clock: Callable[[], float] = time.time,
        max_credentials: int = MAX_CREDENTIALS,
    ) -> None:
        """Create the cache; `on_request` gets each outcome by app id, `on_fetch` whether a fetch succeeded."""
        self._pacer = FairPacer(per_second)
        self._on_request, self._on_fetch = on_request, on_fetch
        self._wall_clock = wall_clock
        self._cache: TLRUCache[Hashable, Credential] = TLRUCache(
            max_credentials,
            lambda _key, credential, now: now + self._seconds_left(credential) - MIN_LIFETIME.total_seconds(),
            timer=wall_clock,
        )
        self._fetches: dict[Hashable, asyncio.Task[Credential | FetchFailed]] = {}
        """Those that wait or are under way."""
        self._breakers: dict[str, CircuitBreaker] = {}
        """Of apps whose last fetch failed."""

    @property
    def waiting(self) -> int:
        """The number of fetches that wait for their turn; safe in any thread."""
        return self._pacer.waiting

    @property
    def cached(self) -> int:
        """The number of cached credentials, of which some may have expired; safe in any thread."""
        return len(self._cache)

    async def get(self, request: CallerRequest) -> Credential:
        """Return the caller's credential, which is valid for at least `MIN_LIFETIME`; raise `CredentialsUnavailable`.

        Below half of its lifetime, wait for another one. If there is none in time, return the earlier one.
        """
        cached = self._cache.get(request.key)
        if cached is not None and self._is_sufficient(cached, request):
            self._on_request(request.app_id, Outcome.CACHED)
            return cached
        fetch, retry_after_seconds = self._fetches.get(request.key), 0.0
        if fetch is None:
            fetch, retry_after_seconds = self._start_fetch(request)
        if fetch is not None:
            # asyncio.wait does not cancel the task, so a request that is cancelled does not end the others' wait.
            await asyncio.wait([fetch], timeout=MAX_WAIT_SECONDS)
            if fetch.done() and not fetch.cancelled() and isinstance(result := fetch.result(), Credential):
                self._on_request(request.app_id, Outcome.ISSUED)
                return result
        cached = self._cache.get(request.key)
        if cached is not None:
            self._on_request(request.app_id, Outcome.CACHED)
            return cached
        self._on_request(request.app_id, Outcome.REFUSED)
        raise CredentialsUnavailable(
            "there is no temporary credential for this caller right now; retry after the seconds in Retry-After",
            retry_after_seconds=max(retry_after_seconds, self._seconds_until_trial(request.app_id), 1.0),
        )

    async def close(self) -> None:
        """Cancel all fetches, and wait until they have ended."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    def _start_fetch(self, request: CallerRequest) -> tuple[asyncio.Task[Credential | FetchFailed] | None, float]:
        """Return a new fetch; or None, and the seconds after which one may start."""
        delay_seconds = self._pacer.seconds_until_start(request.app_id)
        if delay_seconds > MAX_WAIT_SECONDS - _USUAL_FETCH_SECONDS:
            return None, delay_seconds
        breaker = self._breakers.get(request.app_id)
        if breaker is not None and not breaker.allow_call():
            return None, breaker.seconds_until_call()
        # Queued here and not in the task, which starts later: requests in between must find it in the queue.
        turn = self._pacer.queue(request.app_id)
        fetch = asyncio.create_task(self._fetch(request, turn), name=f"temporary credential of {request.app_id}")
        self._fetches[request.key] = fetch
        return fetch, 0.0

    async def _fetch(self, request: CallerRequest, turn: LaneTurn) -> Credential | FetchFailed:
        try:
            async with turn:
                result = await fetch_valid(request.source(), self._validate)
        finally:
            del self._fetches[request.key]
        succeeded = isinstance(result, Credential)
        self._on_fetch(request.app_id, succeeded)
        if isinstance(result, Credential):
            self._breakers.pop(request.app_id, None)
            self._cache[request.key] = result
        else:
            self._record_failure(request.app_id, result)
        return result

    def _record_failure(self, app_id: str, error: FetchFailed) -> None:
        breaker = self._breakers.get(app_id)
        if breaker is None:
            breaker = self._breakers[app_id] = CircuitBreaker(
                failure_threshold=3,
                first_delay_seconds=0.5,
                max_delay_seconds=_MAX_RETRY_SECONDS,
                jitter=(0.5, 1.0),
                monotonic=asyncio.get_running_loop().time,
            )
        breaker.record_failure()
        log.log(
            logging.ERROR if error.needs_operator else logging.WARNING,
            "temporary credential failed",
            extra={"app": app_id, "error": str(error), "failures": breaker.failures},
        )

    def _validate(self, credential: Credential) -> None:
        if self._seconds_left(credential) <= MIN_LIFETIME.total_seconds():
            minutes = int(MIN_LIFETIME.total_seconds() // 60)
            raise FetchFailed(f"STS issued a credential that expires within {minutes} minutes; check the clocks")

    def _seconds_left(self, credential: Credential) -> float:
        """Return the remaining lifetime; one without an expiration is not temporary, so it has none."""
        return 0.0 if credential.expiration is None else credential.expiration.timestamp() - self._wall_clock()

    def _is_sufficient(self, credential: Credential, request: CallerRequest) -> bool:
        """Return whether a cached credential is returned without a renewal."""
        if request.until is not None and credential.expiration is not None and credential.expiration >= request.until:
            return True
        return self._seconds_left(credential) >= request.duration.total_seconds() / 2

    def _seconds_until_trial(self, app_id: str) -> float:
        breaker = self._breakers.get(app_id)
        return 0.0 if breaker is None else breaker.seconds_until_call()
