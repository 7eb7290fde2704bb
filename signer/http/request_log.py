"""One log line for each request, serialized at once and written off the event loop in batches.

A thread that serialized the lines would hold Python's lock while requests wait; writing releases it.
"""

import logging
import time
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import unquote

import orjson

from signer.revision import Context
from signer.telemetry.logs import current_handler, escape_unprintable

log = logging.getLogger("oss_signer.request")

_MAX_PATH_CHARACTERS = 256
_MILLISECONDS = tuple(f"{number:03d}" for number in range(1000))
"""Formatting a number takes as long as everything else in a line."""


class RequestLog:
    """Writes the log lines of requests. Create and use it in one event loop."""

    def __init__(self) -> None:
        handler = current_handler() if log.isEnabledFor(logging.INFO) else None
        self._lines = None if handler is None else handler.lines
        common_fields = "" if handler is None else handler.common_fields_json
        self._head = f'"level": "info", "logger": "{log.name}", "message": "request", {common_fields}'
        self._second = 0
        self._second_text = ""

    def add(self, context: Context, status: int, code: str | None, seconds: float) -> None:
        """Log one request; `code` is that of the problem that its response reports, if it reports one."""
        if self._lines is None:
            return
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._second_text = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        # Only the ids of apps that exist reach the log.
        app_id = None if context.app is None else context.app.id
        what = _members(context.method, context.path[: 3 * _MAX_PATH_CHARACTERS], app_id, status, code)
        line = (
            f'{{"time": "{self._second_text}.{_MILLISECONDS[int((now - second) * 1000)]}+00:00", {self._head}'
            f'"request_id": "{context.request_id}", {what}, '
            f'"milliseconds": {seconds * 1000:.2f}, "address": {_json(context.client_address)}}}\n'
        )
        self._lines.gather(line.encode())


@lru_cache(maxsize=4096)
def _members(method: str, path: str, app_id: str | None, status: int, code: str | None) -> str:
    """Return the members that many requests share. The path has no query, which may contain secrets."""
    decoded_path = unquote(path)[:_MAX_PATH_CHARACTERS].encode(errors="replace").decode()
    members = {"method": method, "path": decoded_path, "app": app_id, "status": status, "code": code}
    return ", ".join(f'"{name}": {_json(value)}' for name, value in members.items())


@lru_cache(maxsize=4096)
def _json(value: str | int | None) -> str:
    return escape_unprintable(orjson.dumps(value).decode())
