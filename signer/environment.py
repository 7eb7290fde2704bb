"""The variables that definitions may refer to: the process's own, and above them those of an environment file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values


class CannotReadEnvironment(Exception):
    """The environment file cannot be read; the text names it and says why, and holds no value."""


@dataclass(frozen=True, slots=True)
class Environment:
    """`file` has `NAME=value` lines, as systemd's EnvironmentFile and Docker's --env-file; what it sets wins."""

    process: Mapping[str, str]
    file: Path | None = None

    def read(self) -> Mapping[str, str]:
        """All variables as they are now: the file is read anew each time. Raises `CannotReadEnvironment`."""
        if self.file is None:
            return self.process
        try:
            text = self.file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise CannotReadEnvironment(f"{self.file}: {why}; say where it is with --env-file") from None
        found = dotenv_values(stream=StringIO(text), interpolate=False)
        return {**self.process, **{name: value for name, value in found.items() if value is not None}}
