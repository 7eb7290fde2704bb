"""Replace `${NAME}`, `${NAME:-default}` and `${file:PATH}` with variables of the environment and contents of files.

A path may start with `$CREDENTIALS_DIRECTORY/`, the directory of systemd's LoadCredential=.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from signer.definitions.redaction import mask_secrets, visible

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?", re.DOTALL | re.ASCII)
_CREDENTIALS = "$CREDENTIALS_DIRECTORY/"
_MAX_FILE_BYTES = 64 * 1024

_FORMS = "write ${NAME}, ${NAME:-default} or ${file:PATH}"


@dataclass(frozen=True, slots=True)
class UnresolvedReference:
    """Why the reference `text[start:end]` cannot be resolved; contains no value."""

    start: int
    end: int
    reason: str


class BadReference(ValueError):
    """References that cannot be resolved; the text says why and how to fix them, and contains no value."""

    def __init__(self, unresolved: list[UnresolvedReference]) -> None:
        super().__init__("; ".join(each.reason for each in unresolved))
        self.unresolved = unresolved


class _Unresolvable(Exception):
    pass


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Return the text with every reference replaced; files are read each time.

    Raises:
        BadReference: with all references that cannot be resolved.
    """
    unresolved: list[UnresolvedReference] = []

    def replace(match: re.Match[str]) -> str:
        try:
            return _resolve(match[1], environ)
        except _Unresolvable as error:
            unresolved.append(UnresolvedReference(*match.span(), str(error)))
            return ""

    result = _REFERENCE.sub(replace, text)
    opened = text.rfind("${")
    if opened >= 0 and "}" not in text[opened:]:
        unresolved.append(UnresolvedReference(opened, len(text), f"this ${{ has no closing }}; {_FORMS}"))
    if unresolved:
        raise BadReference(unresolved)
    return result


def reference_values(text: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what each reference in the text stands for, except those that cannot be resolved."""
    for match in _REFERENCE.finditer(text):
        try:
            yield _resolve(match[1], environ)
        except _Unresolvable:
            continue


def _resolve(reference: str, environ: Mapping[str, str]) -> str:
    if reference.startswith("file:"):
        return _read_file(_absolute_path(reference.removeprefix("file:"), environ))
    variable = _VARIABLE.fullmatch(reference)
    if variable is None:
        raise _Unresolvable(f"this ${{...}} is not a reference; {_FORMS}")
    value = environ.get(variable[1], "")
    if not value and variable[2] is None:
        name = mask_secrets(variable[1])
        raise _Unresolvable(f"${{{name}}} is not set; set it in the environment, or write ${{{name}:-default}}")
    return value or str(variable[3])


def _absolute_path(path: str, environ: Mapping[str, str]) -> str:
    if not path.startswith(_CREDENTIALS):
        return path
    directory = environ.get(_CREDENTIALS[1:-1], "")
    if not directory:
        raise _Unresolvable(f"{_CREDENTIALS[:-1]} is not set; add LoadCredential= to the systemd unit, which sets it")
    return f"{directory}/{path.removeprefix(_CREDENTIALS)}"


def _read_file(path: str) -> str:
    shown = mask_secrets(visible(path))
    failure = f"${{file:{shown}}} cannot be read"
    try:
        if Path(path).exists() and not Path(path).is_file():
            # Reading a pipe or a device might never end.
            raise _Unresolvable(f"{failure}: it is not a regular file; name a file")
        with Path(path).open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise _Unresolvable(f"{failure}: it is larger than {_MAX_FILE_BYTES // 1024} KiB; name a smaller file")
        return data.decode("utf-8").strip()
    except OSError as error:
        raise _Unresolvable(f"{failure}: {error.strerror}; check the path and its permissions") from None
    except UnicodeDecodeError:
        raise _Unresolvable(f"{failure}: it is not UTF-8 text; save it as UTF-8") from None
    except ValueError:
        raise _Unresolvable(f"{failure}: this is not a path; write ${{file:PATH}}") from None
