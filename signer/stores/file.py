"""Definitions in a file, or in a directory whose `*.yaml` are read together."""

from __future__ import annotations

from pathlib import Path

MAX_FILE_BYTES = 16 * 2**20


class CannotRead(Exception):
    """The file or directory cannot be read; the text names it and says why."""


def read(location: Path) -> dict[str, str]:
    """The text of each file by its path. Raises `CannotRead`."""
    try:
        files = sorted(location.glob("*.yaml")) if location.is_dir() else [location]
        return {str(file): _text(file) for file in files}
    except OSError as error:
        raise CannotRead(
            f"{error.filename or location}: {error.strerror}; say where the YAML is with --config"
        ) from None


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise CannotRead(f"{file}: is larger than {MAX_FILE_BYTES // 2**20} MiB; split it into several files")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CannotRead(f"{file}: is no UTF-8 text at byte {error.start}; save it as UTF-8") from None
