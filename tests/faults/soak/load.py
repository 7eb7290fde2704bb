"""The requests and uploads of all apps, and what must be true of each response and event."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from typing import Any

import aiohttp

from tests.faults.soak.app_server import AppServer
from tests.faults.soak.health import Health
from tests.harness.oss_upload import post_object
from tests.harness.waiting import wait_until

REQUEST_PAUSE_SECONDS = 0.5
"""Between two requests of one client."""
UPLOAD_PAUSE_SECONDS = 0.3
CLIENT_TIMEOUT_SECONDS = 15.0
"""A request waits for a token for 3 s at most; a busy machine needs a multiple of that."""
IDLE_SECONDS = 1.0
"""The signer closes connections that have been idle for so long if it has too many; a busy machine sends so late."""
CALLBACK_SECONDS = 2.0
"""A callback that fails sooner did not fail for a lack of time: the signer gives it 2.5 s."""
OBJECTS = ("one.jpg", "two.jpg", "three.jpg")
EXPIRED = ("Policy expired", "SecurityTokenExpired")


class Load:
    """Sends requests; `violations` describes what is wrong, `counts` counts the outcomes."""

    def __init__(self, public: str, session: aiohttp.ClientSession, health: Health, servers: dict[str, AppServer]):
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        self.slowest_seconds: dict[str, float] = defaultdict(float)
        """The longest time to a response, for healthy and for unhealthy apps."""
        self._public, self._session, self._health, self._servers = public, session, health, servers
        self._accepted: dict[tuple[str, str], list[int]] = defaultdict(list)
        """By app and filename, the numbers of the uploads whose callback was accepted."""
        self._last_numbers: Counter[tuple[str, str]] = Counter()
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    @contextlib.asynccontextmanager
    async def running(self, apps: Iterable[str]) -> AsyncIterator[None]:
        """Send requests for these apps, and upload for those with a server, until the end of the block."""
        stop = asyncio.Event()

        async def pause(seconds: float) -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)

        async def keep_requesting(app: str) -> None:
            while not stop.is_set():
                await self.request(app)
                await pause(REQUEST_PAUSE_SECONDS)

        async def keep_uploading(app: str) -> None:
            while not stop.is_set():
                for filename in OBJECTS:
                    await self.upload(app, filename)
                    await pause(UPLOAD_PAUSE_SECONDS)

        async with asyncio.TaskGroup() as group:
            for app in apps:
                group.create_task(keep_requesting(app))
            for app in self._servers:
                group.create_task(keep_uploading(app))
            try:
                yield
            finally:
                stop.set()

    async def request(self, app: str, document: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Request a form, and return the status and the body; status 0 means that there was no response."""
        allowed = self._health.allowed_statuses(app)
        started = time.monotonic()
        status, body = await self._post(app, document or {"filename": "a.jpg"})
        seconds = time.monotonic() - started
        if status == 0 and seconds > IDLE_SECONDS and self._health.may_close_idle_connections:
            self.counts["connection closed before its request was sent"] += 1
            return await self.request(app, document)
        allowed |= self._health.allowed_statuses(app)
        kind = "healthy" if allowed == {201} else "unhealthy"
        self.slowest_seconds[kind] = max(self.slowest_seconds[kind], seconds)
        self.counts[f"{kind} {status}"] += 1
        if status not in allowed:
            self.violations.append(f"{app}: {status} instead of {sorted(allowed)} after {seconds:.1f} s: {body}")
        return status, body

    async def _post(self, app: str, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        timeout = aiohttp.ClientTimeout(total=CLIENT_TIMEOUT_SECONDS)
        url = f"{self._public}/v1/apps/{app}/uploads"
        try:
            async with self._session.post(url, json=document, timeout=timeout) as response:
                return response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, ValueError, TimeoutError) as error:
            return 0, {"error": repr(error)}

    async def upload(self, app: str, filename: str) -> bool:
        """Upload the next content of an object, and return whether its callback was accepted."""
        async with self._locks[app, filename]:
            return await self._upload(app, filename)

    async def _upload(self, app: str, filename: str) -> bool:
        self._last_numbers[app, filename] += 1
        number = self._last_numbers[app, filename]
        status, form = await self.request(app, {"filename": filename, "vars": {"number": str(number)}})
        if status != 201:
            return False
        is_queue_healthy = self._health.is_queue_healthy
        started = time.monotonic()
        status, text, _headers = await post_object(self._session, form["url"], form["fields"], b"x", filename)
        seconds = time.monotonic() - started
        if status == 200:
            self.counts["callback accepted"] += 1
            self._accepted[app, filename].append(number)
        elif status == 203:
            self.counts["callback failed"] += 1
            if is_queue_healthy and self._health.is_queue_healthy and seconds < CALLBACK_SECONDS:
                self.violations.append(f"{app}: the callback failed after {seconds:.1f} s: {text}")
        elif any(reason in text for reason in EXPIRED):
            self.counts["form used too late"] += 1
        else:
            self.violations.append(f"{app}: OSS responded {status} {text}")
        return status == 200

    async def wait_for_deliveries(self, app: str, filenames: Iterable[str] = OBJECTS) -> None:
        """Return once an event of each of these objects has arrived that is accepted from now on."""
        first = {filename: self._last_numbers[app, filename] + 1 for filename in filenames}
        await wait_until(
            lambda: all(
                any(number >= first[filename] for number in self._delivered(app, filename)) for filename in first
            )
        )

    def _delivered(self, app: str, filename: str) -> list[int]:
        return self._servers[app].numbers[f"{app}/{filename}"]

    @property
    def signatures(self) -> int:
        """How many forms were received."""
        return self.counts["healthy 201"] + self.counts["unhealthy 201"]

    def check(self) -> None:
        """Fail if anything was wrong so far."""
        assert not self.violations, (len(self.violations), self.violations[:10])

    def missing_events(self) -> list[str]:
        """Return the events of accepted callbacks that have not been delivered."""
        return [
            f"{app}/{filename} {number}"
            for (app, filename), numbers in self._accepted.items()
            for number in sorted(set(numbers) - set(self._delivered(app, filename)))
        ]

    def events_out_of_order(self) -> list[str]:
        """Return the objects whose events were delivered in another order than that of the uploads."""
        return [
            f"{app}: {key} {numbers}"
            for app, server in self._servers.items()
            for key, numbers in server.numbers.items()
            if numbers != sorted(numbers)
        ]
