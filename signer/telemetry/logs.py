"""The log: one JSON object per line on stderr, for journald and log collectors."""

import json
import logging
import traceback
from datetime import UTC, datetime

from signer.telemetry.line_writer import LineWriter

WARNING = logging.WARNING

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object with the fields of `extra` and, on a machine with several, the worker."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._common_fields: dict[str, object] = {} if worker is None else {"worker": worker}
        self.common_fields_json = "" if worker is None else f'"worker": {worker}, '

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._common_fields,
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        if record.exc_info:
            fields["traceback"] = _traceback_lines(record.exc_info[1])
        return escape_unprintable(json.dumps(fields, ensure_ascii=False, default=str))


def escape_unprintable(text: str) -> str:
    """Escape in JSON what a terminal does not show as it is, such as control characters and changes of direction.

    JSON itself escapes only those below U+0020. A client could hide or forge what an operator sees with the others.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


class LogHandler(logging.Handler):
    """Passes each record as a line of JSON to a writer, which never blocks the caller."""

    def __init__(self, lines: LineWriter, worker: int | None = None) -> None:
        super().__init__()
        self.lines = lines
        formatter = JsonFormatter(worker)
        self.setFormatter(formatter)
        self.common_fields_json = formatter.common_fields_json
        """The fields that each line of this process has, as JSON like `"worker": 2, `; empty without any."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:
            # Libraries, too, log messages that do not fit their arguments.
            fields = {"name": record.name, "levelno": logging.ERROR, "levelname": "ERROR", "msg": "log call failed"}
            line = self.format(logging.makeLogRecord({**fields, "place": f"{record.pathname}:{record.lineno}"}))
        self.lines.add(line.encode() + b"\n")


def current_handler() -> LogHandler | None:
    """Return the handler that writes the log of this process; None if the process has no log."""
    return next((handler for handler in logging.getLogger().handlers if isinstance(handler, LogHandler)), None)


def _traceback_lines(error: BaseException | None) -> list[str]:
    """Return the frames and the type of an exception, without its text, which may quote a secret."""
    if error is None:
        return []
    frames = traceback.extract_tb(error.__traceback__)
    return [*(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames), type(error).__name__]
