"""`${NAME}`, `${NAME:-default}` and `${file:PATH}` in the YAML, filled in from the environment and files.

A path may begin with `$CREDENTIALS_DIRECTORY/`, where systemd's LoadCredential= puts secrets: each worker has its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from signer.definitions.redaction import mask_secrets

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?", re.DOTALL | re.ASCII)
_CREDENTIALS = "$CREDENTIALS_DIRECTORY/"
_MAX_FILE_BYTES = 64 * 1024

_KINDS = "write ${NAME}, ${NAME:-default} or ${file:PATH}"


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why one reference cannot be filled in; it is `text[start:end]`. Holds no value."""

    start: int
    end: int
    why: str


class BadReference(ValueError):
    """References that cannot be filled in; the text says why and how to mend them, and holds no value."""

    def __init__(self, complaints: list[Complaint]) -> None:
        super().__init__("; ".join(complaint.why for complaint in complaints))
        self.complaints = complaints


class _Unfillable(Exception):
    pass


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """`text` with every reference replaced; files are read anew each time. Raises `BadReference` with all that fail."""
    complaints: list[Complaint] = []

    def value(match: re.Match[str]) -> str:
        try:
            return _value(match[1], environ)
        except _Unfillable as error:
            complaints.append(Complaint(*match.span(), str(error)))
            return ""

    filled = _REFERENCE.sub(value, text)
    opened = text.rfind("${")
    if opened >= 0 and "}" not in text[opened:]:
        complaints.append(Complaint(opened, len(text), f"a ${{ is never closed by a }}; {_KINDS}"))
    if complaints:
        raise BadReference(complaints)
    return filled


def reference_values(text: str, environ: Mapping[str, str]) -> Iterator[str]:
    """What each reference in `text` stands for; those that cannot be filled in are left out."""
    for match in _REFERENCE.finditer(text):
        try:
            yield _value(match[1], environ)
        except _Unfillable:
            continue


def _value(reference: str, environ: Mapping[str, str]) -> str:
    if reference.startswith("file:"):
        return _file(_located(reference.removeprefix("file:"), environ))
    variable = _VARIABLE.fullmatch(reference)
    if variable is None:
        raise _Unfillable(f"this ${{...}} is of no known form; {_KINDS}")
    value = environ.get(variable[1], "")
    if not value and variable[2] is None:
        name = mask_secrets(variable[1])
        raise _Unfillable(f"${{{name}}} is not set; set it in the environment, or write ${{{name}:-default}}")
    return value or str(variable[3])


def _located(path: str, environ: Mapping[str, str]) -> str:
    if not path.startswith(_CREDENTIALS):
        return path
    directory = environ.get(_CREDENTIALS[1:-1], "")
    if not directory:
        raise _Unfillable(f"{_CREDENTIALS[:-1]} is not set; systemd sets it where a unit has LoadCredential=")
    return f"{directory}/{path.removeprefix(_CREDENTIALS)}"


def _file(path: str) -> str:
    named = mask_secrets("".join(character if character.isprintable() else "…" for character in path))
    try:
        if Path(path).exists() and not Path(path).is_file():
            # Reading a pipe or a device might never end.
            raise _Unfillable(f"${{file:{named}}} cannot be read: it is not a regular file")
        with Path(path).open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise _Unfillable(f"${{file:{named}}} cannot be read: it is larger than {_MAX_FILE_BYTES // 1024} KiB")
        return data.decode("utf-8").strip()
    except OSError as error:
        raise _Unfillable(f"${{file:{named}}} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _Unfillable(f"${{file:{named}}} cannot be read: it is not UTF-8 text") from None
    except ValueError:
        raise _Unfillable(f"${{file:{named}}} cannot be read: this is not a path") from None
