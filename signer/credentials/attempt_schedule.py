"""When the next attempt to fetch the token of one role is due, and a way for requests to wait for its end."""

import asyncio
import contextlib


class AttemptSchedule:
    """The next attempt. It is planned for a time, then due, and finished when its fetch has ended."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due_at = self._loop.time()
        self._changed = asyncio.Event()
        self._finished: asyncio.Future[None] | None = None
        """Resolved when the attempt that is due now has ended; None if none is due."""
        self.forced_count = 0
        """How many attempts were forced."""
        self._finished_forced_count = 0
        """How many of them have ended."""

    @property
    def is_due(self) -> bool:
        """Whether an attempt is due or under way, so that `wait_until_finished` waits for it."""
        return self._finished is not None

    @property
    def is_forced(self) -> bool:
        """Whether the attempt that is due was forced."""
        return self._finished_forced_count < self.forced_count

    def seconds_until_due(self) -> float:
        """Return the seconds until the next attempt is due, 0.0 if it is; safe in any thread."""
        return max(0.0, self._due_at - self._loop.time())

    def make_due(self) -> None:
        """Make the next attempt due now, unless it is already."""
        if self._finished is None:
            self._finished = self._loop.create_future()
            self._plan_at(self._loop.time())

    def force(self) -> None:
        """Make an attempt due that starts from now on. One under way has to be repeated instead of finished."""
        self.forced_count += 1
        self.make_due()

    def bring_forward(self, seconds: float) -> None:
        """Make the next attempt due in this many seconds, unless it is earlier."""
        self._plan_at(min(self._due_at, self._loop.time() + seconds))

    def finish(self, delay_seconds: float = 0.0) -> None:
        """End the attempt that is due, and plan the next one."""
        finished, self._finished = self._finished, None
        self._finished_forced_count = self.forced_count
        if finished is not None and not finished.done():
            finished.set_result(None)
        self._plan_at(self._loop.time() + delay_seconds)

    async def wait_until_finished(self, timeout_seconds: float) -> None:
        """Wait for the end of the attempt that is due, or for the timeout."""
        if self._finished is not None:
            # asyncio.wait does not cancel the future, so a request that is cancelled does not end the others' wait.
            await asyncio.wait([self._finished], timeout=timeout_seconds)

    async def wait_until_forced_finished(self, timeout_seconds: float) -> bool:
        """Wait for the end of the attempt that was forced last; return whether it ended before the timeout."""
        number, ends_at = self.forced_count, self._loop.time() + timeout_seconds
        while self._finished_forced_count < number and self._loop.time() < ends_at:
            await self.wait_until_finished(ends_at - self._loop.time())
        return self._finished_forced_count >= number

    async def wait_until_due_or_changed(self) -> None:
        """Wait for the planned time, or for an earlier end by `make_due`, `bring_forward` or `wake`."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.seconds_until_due()):
                await self._changed.wait()

    def wake(self) -> None:
        """End `wait_until_due_or_changed` now, without a change."""
        self._changed.set()

    def _plan_at(self, due_at: float) -> None:
        self._due_at = due_at
        self._changed.set()
