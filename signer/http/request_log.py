"""One line for each request, put together at once and written off the event loop, many in one piece.

A thread that put them together would hold Python's lock while requests wait; what it writes, it writes without.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import unquote

import orjson

from signer.http.exchange import Exchange
from signer.telemetry.line_writer import LineWriter
from signer.telemetry.logs import common_fields_json, write_lines

log = logging.getLogger("oss_signer.request")

_MAX_PATH_CHARACTERS = 256


class RequestLog:
    """Make it, add to it and close it in one event loop."""

    def __init__(self) -> None:
        self._lines = LineWriter(write_lines)
        self._wanted = log.isEnabledFor(logging.INFO)
        self._begin = f'"level": "info", "logger": "{log.name}", "message": "request", {common_fields_json()}'
        self._second = 0
        self._time = ""

    def add(self, exchange: Exchange, status: int, code: str | None, seconds: float) -> None:
        if not self._wanted:
            return
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._time = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        what = _what(exchange.method, exchange.path[: 3 * _MAX_PATH_CHARACTERS], exchange.app, status, code)
        line = (
            f'{{"time": "{self._time}.{int((now - second) * 1000):03d}+00:00", {self._begin}'
            f'"request_id": "{exchange.request_id}", {what}, '
            f'"milliseconds": {seconds * 1000:.2f}, "address": {_json(exchange.client_address)}}}\n'
        )
        self._lines.add(line.encode())

    async def close(self) -> None:
        """Writes what is still there."""
        await self._lines.close()


@lru_cache(maxsize=4096)
def _what(method: str, path: str, app: str | None, status: int, code: str | None) -> str:
    """The path is logged without the query, which may hold what no log should."""
    shown = unquote(path)[:_MAX_PATH_CHARACTERS].encode(errors="replace").decode()
    members = {"method": method, "path": shown, "app": app, "status": status, "code": code}
    return ", ".join(f'"{name}": {_json(value)}' for name, value in members.items())


@lru_cache(maxsize=4096)
def _json(value: str | int | None) -> str:
    return orjson.dumps(value).decode()
