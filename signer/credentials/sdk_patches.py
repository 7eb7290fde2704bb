"""Walls around Alibaba's SDKs: no output of theirs, no threads of theirs, and the Date of every answer is noted.

The SDKs hand out no headers of refused calls, and a refused call is where a wrong clock shows first; so the one
function through which each SDK sends is wrapped.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any

from alibabacloud_credentials.provider import ecs_ram_role
from darabonba.core import DaraCore
from Tea.core import TeaCore

from signer.credentials.server_dates import DatedAnswer, notes

_LOGGERS = ("credentials", "alibabacloud-tea", "darabonba-core", "apscheduler")

Send = Callable[..., Awaitable[Any]]


def _noted(send: Send) -> Send:
    async def send_and_note(request: Any, runtime_option: Any = None) -> Any:
        asked_at = time.monotonic()
        response = await send(request, runtime_option)
        noted = notes()
        with contextlib.suppress(KeyError, TypeError, ValueError):
            if noted is not None:
                date = parsedate_to_datetime(response.headers["date"])
                noted.append(DatedAnswer(request.headers["host"], date, asked_at, time.monotonic()))
        return response

    return send_and_note


class _NoScheduler:
    """In place of the APScheduler thread that the SDK starts for each metadata provider and never ends."""

    def add_job(self, *_arguments: object, **_options: object) -> None: ...

    def start(self) -> None: ...

    def shutdown(self, **_options: object) -> None: ...


class _NoExitHandlers:
    """In place of the module in which the SDK notes each of those schedulers, for good."""

    @staticmethod
    def register(*_arguments: object, **_options: object) -> None: ...


def _put_up() -> None:
    DaraCore.async_do_action = staticmethod(_noted(DaraCore.async_do_action))
    TeaCore.async_do_action = staticmethod(_noted(TeaCore.async_do_action))
    ecs_ram_role.BackgroundScheduler = _NoScheduler
    ecs_ram_role.atexit = _NoExitHandlers
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.CRITICAL)


_put_up()
