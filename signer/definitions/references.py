"""`${NAME}`, `${NAME:-default}` and `${file:PATH}` in the YAML, filled in from the environment and files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?", re.DOTALL)
_MAX_FILE_BYTES = 64 * 1024


class BadReference(ValueError):
    """A reference that cannot be filled in; the text says why and how to mend it, and holds no value."""


def fill(text: str, environ: Mapping[str, str]) -> str:
    """`text` with every reference replaced; files are read anew each time. Raises `BadReference`."""
    return _REFERENCE.sub(lambda match: _value(match[1], environ), text)


def _value(reference: str, environ: Mapping[str, str]) -> str:
    if reference.startswith("file:"):
        return _file(reference.removeprefix("file:"))
    variable = _VARIABLE.fullmatch(reference)
    if variable is None:
        raise BadReference("has a ${...} that is neither ${NAME}, ${NAME:-default} nor ${file:PATH}")
    value = environ.get(variable[1], "")
    if not value and variable[2] is None:
        raise BadReference(
            f"${{{variable[1]}}} is not set; set it in the environment or write ${{{variable[1]}:-default}}"
        )
    return value or str(variable[3])


def _file(path: str) -> str:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(_MAX_FILE_BYTES).decode("utf-8").strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise BadReference(f"${{file:{path}}} cannot be read: {why}") from None
