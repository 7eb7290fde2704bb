"""The log: one JSON object a line on stderr, fit for journald and log collectors."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

WARNING = logging.WARNING

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    def __init__(self, worker: int | None = None) -> None:
        """`worker`: which of several signers on this machine this one is; each line says so."""
        super().__init__()
        self._worker: dict[str, object] = {} if worker is None else {"worker": worker}
        self.members = "" if worker is None else f'"worker": {worker}, '

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._worker,
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["traceback"] = _places(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(stream: TextIO = sys.stderr, level: int = logging.INFO, worker: int | None = None) -> None:
    """Sends all logging to `stream`; libraries only from warnings on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("oss_signer").setLevel(level)


def members_of_each_line() -> str:
    """What each line says of this process, as a piece of JSON such as `"worker": 2, `; it may be empty."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonLines):
            return handler.formatter.members
    return ""


def write_lines(lines: bytes) -> None:
    """In one piece, to where all logging goes."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.acquire()
            try:
                handler.flush()
                if (buffer := getattr(handler.stream, "buffer", None)) is not None:
                    buffer.write(lines)
                    buffer.flush()
                else:
                    handler.stream.write(lines.decode())
            finally:
                handler.release()


def _places(error: BaseException | None) -> list[str]:
    """Where an exception came from, and its kind. Not its text, which may quote a secret it choked on."""
    if error is None:
        return []
    frames = traceback.extract_tb(error.__traceback__)
    return [*(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames), type(error).__name__]
