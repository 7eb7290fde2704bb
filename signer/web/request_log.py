"""One line for each request, written off the event loop: a request only leaves a note."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import unquote

import orjson

from signer.logs import members_of_each_line, write_lines
from signer.note_writer import NoteWriter
from signer.web.exchange import Exchange

log = logging.getLogger("oss_signer.request")

_MAX_PATH_CHARACTERS = 256

Note = tuple[float, str, str, str, str | None, int, str | None, float, str]


class RequestLog:
    """Make it, add to it and close it in one event loop."""

    def __init__(self) -> None:
        self._notes: NoteWriter[Note] = NoteWriter(_write)

    def add(self, exchange: Exchange, status: int, code: str | None, seconds: float) -> None:
        request = exchange.request
        self._notes.add(
            (
                time.time(),
                exchange.request_id,
                request.method,
                exchange.raw_path,
                exchange.app,
                status,
                code,
                seconds,
                exchange.address,
            )
        )

    async def close(self) -> None:
        """Writes what is still noted."""
        await self._notes.close()


def _write(notes: list[Note]) -> None:
    if log.isEnabledFor(logging.INFO):
        members = members_of_each_line()
        write_lines("".join([_line(note, members) for note in notes]))


def _line(note: Note, members: str) -> str:
    created, request_id, method, raw_path, app, status, code, seconds, address = note
    return (
        f'{{"time": "{_second(int(created))}.{int(created % 1 * 1000):03d}+00:00", "level": "info", '
        f'"logger": "{log.name}", "message": "request", {members}"request_id": "{request_id}", '
        f'"method": {_json(method)}, "path": {_json(_path(raw_path))}, "app": {_json(app)}, '
        f'"status": {status}, "code": {_json(code)}, "milliseconds": {seconds * 1000:.2f}, '
        f'"address": {_json(address)}}}\n'
    )


@lru_cache(maxsize=8)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)
def _json(value: str | None) -> str:
    return orjson.dumps(value).decode()


@lru_cache(maxsize=1024)
def _path(raw_path: str) -> str:
    """Without the query, which may hold what no log should."""
    path = unquote(raw_path.partition("?")[0][: 3 * _MAX_PATH_CHARACTERS])[:_MAX_PATH_CHARACTERS]
    return path.encode(errors="replace").decode()
