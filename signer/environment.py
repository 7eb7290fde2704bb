"""The variables that definitions may refer to: those of the process, and those of an environment file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values


class CannotReadEnvironment(Exception):
    """The environment file cannot be read; the text names it and the reason, and contains no value."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where variables come from."""

    process: Mapping[str, str]
    file: Path | None = None
    """Lines `NAME=value`, like systemd's EnvironmentFile and Docker's --env-file; overrides `process`."""

    def read(self) -> Mapping[str, str]:
        """Return the current variables; reads the file anew.

        Raises:
            CannotReadEnvironment: the file is missing, unreadable or not UTF-8.
        """
        if self.file is None:
            return self.process
        try:
            text = self.file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise CannotReadEnvironment(f"{self.file}: {reason}; give its path with --env-file") from None
        values = dotenv_values(stream=StringIO(text), interpolate=False)
        return {**self.process, **{name: value for name, value in values.items() if value is not None}}
