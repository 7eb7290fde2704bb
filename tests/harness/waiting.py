"""Waits for conditions, with one deadline that only a hang exceeds."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

DEADLINE_SECONDS = 120.0
"""A slow and busy machine needs far less for anything that a test waits for."""
_INTERVAL_SECONDS = 0.02


def deadline() -> asyncio.Timeout:
    """Return a context manager that raises TimeoutError when its block exceeds the deadline."""
    return asyncio.timeout(DEADLINE_SECONDS)


@overload
async def wait_until(condition: Callable[[], Awaitable[T | None]]) -> T: ...


@overload
async def wait_until(condition: Callable[[], T | None]) -> T: ...


async def wait_until(condition: Callable[[], Any]) -> Any:
    """Evaluate a condition, plain or asynchronous, until its value is true.

    Returns:
        The first true value.

    Raises:
        TimeoutError: The value was false until the deadline.
    """
    async with deadline():
        while True:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(_INTERVAL_SECONDS)
