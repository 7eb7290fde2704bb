"""The variables and files that definitions may refer to."""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path
from typing import TypeVar

from dotenv import dotenv_values

from signer.file_calls import FileSystemHangs, fix_for, run_with_deadline
from signer.regular_file import read_regular_file

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""The variable with the directory of systemd's LoadCredential=."""

_MAX_FILE_BYTES = 2**20
MAX_SECRET_BYTES = 64 * 1024
"""The maximum size of a file that definitions refer to."""
_MAX_HUNG_FILES = 2
"""After this many files that hang, no further ones are read, so that a parse ends in seconds whatever hangs."""

T = TypeVar("T")


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
    """Variables by name, and the files that definitions may refer to.

    Each file is read once, so that a parse never mixes two versions of it. Create a new one for each parse and fetch.
    """

    def __init__(self, values: Mapping[str, str], allowed: Allowed | None = None, *, can_change: bool = False) -> None:
        """Create it without the variables that are not allowed; None allows everything."""
        self.allowed = allowed
        self.can_change = can_change
        """Whether a variable may have another value later in this process, since some are in a file."""
        self.credentials_directory = values.get(CREDENTIALS_DIRECTORY) or None
        self._files: dict[str, bytes | Exception] = {}
        self._real_paths: dict[str, Path | Exception] = {}
        self._hung_files = 0
        super().__init__({name: value for name, value in values.items() if self.allows_name(name)})

    def allows_name(self, name: str) -> bool:
        """Return whether a variable may be used."""
        return self.allowed is None or any(fnmatchcase(name, pattern) for pattern in self.allowed.variables)

    def allows_file(self, path: str) -> bool:
        """Return whether a file may be read, by where its links lead to; raise OSError if that cannot be resolved."""
        if self.allowed is None:
            return True
        credentials = () if self.credentials_directory is None else (self.credentials_directory,)
        file = self._real_path(path)
        directories = (*map(str, self.allowed.directories), *credentials)
        return any(file.is_relative_to(self._real_path(each)) for each in directories)

    def read_file(self, path: str) -> bytes:
        """Return the content of a file, of a longer one than `MAX_SECRET_BYTES` one byte more than that.

        Raise OSError if it cannot be read or its file system hangs, and ValueError if this is not a path.
        """
        return self._once(self._files, path, lambda: read_regular_file(Path(path), max_bytes=MAX_SECRET_BYTES))

    def forget_tracebacks(self) -> None:
        """Release the frames in which reading files failed, which refer to all that was parsed."""
        for outcome in (*self._files.values(), *self._real_paths.values()):
            if isinstance(outcome, Exception):
                outcome.__traceback__ = None

    def has_changed(self, current: "Variables") -> bool:
        """Return whether a variable, or a file that was read from here, is different in `current`."""
        return dict(self) != dict(current) or any(
            not _are_equal(outcome, current._file_or_error(path)) for path, outcome in self._files.items()
        )

    def _file_or_error(self, path: str) -> bytes | Exception:
        try:
            return self.read_file(path)
        except (OSError, ValueError) as error:
            return error

    def _real_path(self, path: str) -> Path:
        return self._once(self._real_paths, path, lambda: _resolve(path))

    def _once(self, outcomes: dict[str, T | Exception], path: str, call: Callable[[], T]) -> T:
        """Return the outcome of a call for this path, which is called only the first time."""
        if path not in outcomes:
            try:
                if self._hung_files >= _MAX_HUNG_FILES:
                    raise FileSystemHangs("not read, since the file systems of others hang")
                outcomes[path] = run_with_deadline(Path(path), call)
            except (OSError, ValueError) as error:
                self._hung_files += isinstance(error, FileSystemHangs)
                outcomes[path] = error
        outcome = outcomes[path]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _resolve(path: str) -> Path:
    circle = OSError(errno.ELOOP, "its links form a circle")
    try:
        real = Path(path).resolve()
    except RuntimeError:  # Python before 3.13; newer ones return the path of a circle
        raise circle from None
    try:
        real.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise circle from None
    return real


def _are_equal(outcome: bytes | Exception, other: bytes | Exception) -> bool:
    return str(outcome) == str(other) if isinstance(outcome, Exception) else outcome == other


@dataclass(frozen=True, slots=True)
class Environment:
    """Where variables come from."""

    process: Mapping[str, str]
    file: Path | None = None
    """Lines `NAME=value`, like systemd's EnvironmentFile and Docker's --env-file; overrides `process`."""
    allowed: Allowed | None = None
    """For definitions from a remote store; None allows everything."""

    def read(self) -> Variables:
        """Read the file again and return the current variables; raise `CannotReadEnvironment` if it is unusable.

        Blocks until the file system responds, for some seconds at most.
        """
        file = self.file
        if file is None:
            return Variables(self.process, self.allowed)
        try:
            data = run_with_deadline(file, lambda: read_regular_file(file, max_bytes=_MAX_FILE_BYTES))
            if len(data) > _MAX_FILE_BYTES:
                raise CannotReadEnvironment(f"{self.file}: larger than 1 MiB; name an environment file with --env-file")
            text = data.decode("utf-8-sig")
        except (OSError, ValueError) as error:
            reason, fix = "not UTF-8", "give its path with --env-file"
            if isinstance(error, OSError):
                reason, fix = str(error.strerror), fix_for(error, fix)
            raise CannotReadEnvironment(f"{self.file}: {reason}; {fix}") from None
        lines = dotenv_values(stream=StringIO(text), interpolate=False).items()
        values = {name: value for name, value in lines if value is not None}
        return Variables({**self.process, **values}, self.allowed, can_change=True)
