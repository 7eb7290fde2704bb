"""The variables and files that definitions may refer to."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from signer.regular_file import read_regular_file

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""The variable with the directory of systemd's LoadCredential=."""

_MAX_FILE_BYTES = 2**20


class CannotReadEnvironment(Exception):
    """The environment file cannot be read; the text names it and the reason, and contains no value."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What definitions from a remote store may use of this machine, since others than its operators may write them."""

    variables: tuple[str, ...] = ()
    """Patterns of names, such as `WX_*`."""
    directories: tuple[Path, ...] = ()
    """Files below them may be read, and those below `$CREDENTIALS_DIRECTORY`."""
    hosts: tuple[str, ...] = ()
    """Patterns of hosts that secrets of this machine may be sent to, in addition to those of Alibaba and WeChat."""

    def allows_host(self, host: str) -> bool:
        """Return whether a pattern matches this host."""
        return any(fnmatchcase(host.lower(), pattern.lower()) for pattern in self.hosts)


class Variables(dict[str, str]):
    """Variables by name, and which of them and of the files may be used."""

    def __init__(self, values: Mapping[str, str], allowed: Allowed | None = None) -> None:
        """Create it without the variables that are not allowed; None allows everything."""
        self.allowed = allowed
        self.credentials_directory = values.get(CREDENTIALS_DIRECTORY) or None
        super().__init__({name: value for name, value in values.items() if self.allows_name(name)})

    def allows_name(self, name: str) -> bool:
        """Return whether a variable may be used."""
        return self.allowed is None or any(fnmatchcase(name, pattern) for pattern in self.allowed.variables)

    def allows_file(self, path: str) -> bool:
        """Return whether a file may be read, by where its links lead to."""
        if self.allowed is None:
            return True
        credentials = () if self.credentials_directory is None else (Path(self.credentials_directory),)
        file = Path(path).resolve()
        return any(file.is_relative_to(each.resolve()) for each in (*self.allowed.directories, *credentials))


@dataclass(frozen=True, slots=True)
class Environment:
    """Where variables come from."""

    process: Mapping[str, str]
    file: Path | None = None
    """Lines `NAME=value`, like systemd's EnvironmentFile and Docker's --env-file; overrides `process`."""
    allowed: Allowed | None = None
    """For definitions from a remote store; None allows everything."""

    def read(self) -> Variables:
        """Read the file anew and return the current variables; raise `CannotReadEnvironment` if it is unusable."""
        if self.file is None:
            return Variables(self.process, self.allowed)
        try:
            data = read_regular_file(self.file, max_bytes=_MAX_FILE_BYTES)
            if len(data) > _MAX_FILE_BYTES:
                raise CannotReadEnvironment(f"{self.file}: larger than 1 MiB; name an environment file with --env-file")
            text = data.decode("utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise CannotReadEnvironment(f"{self.file}: {reason}; give its path with --env-file") from None
        lines = dotenv_values(stream=StringIO(text), interpolate=False).items()
        values = {name: value for name, value in lines if value is not None}
        return Variables({**self.process, **values}, self.allowed)
