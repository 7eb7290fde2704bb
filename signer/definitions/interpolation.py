"""Replace `${NAME}`, `${NAME:-default}` and `${file:PATH}` with variables of the environment and contents of files.

A path may start with `$CREDENTIALS_DIRECTORY/`, the directory of systemd's LoadCredential=.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from signer.definitions.odd_characters import INVISIBLE_AT_ENDS
from signer.definitions.redaction import mask_secrets, visible
from signer.environment import CREDENTIALS_DIRECTORY, MAX_SECRET_BYTES, Variables
from signer.file_calls import fix_for
from signer.regular_file import NotARegularFile

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?", re.DOTALL | re.ASCII)
_CREDENTIALS = f"${CREDENTIALS_DIRECTORY}/"

_FORMS = "write ${NAME}, ${NAME:-default} or ${file:PATH}"


@dataclass(frozen=True, slots=True)
class UnresolvedReference:
    """Why the reference `text[start:end]` cannot be resolved; contains no value."""

    start: int
    end: int
    reason: str
    is_transient: bool
    """Whether it may be resolved later without an edit, since it depends on a file."""


class BadReference(ValueError):
    """References that cannot be resolved; the text contains the reason and the fix, and no value."""

    def __init__(self, unresolved: list[UnresolvedReference]) -> None:
        super().__init__("; ".join(each.reason for each in unresolved))
        self.unresolved = unresolved


class _Unresolvable(Exception):
    def __init__(self, reason: str, *, is_transient: bool = False) -> None:
        super().__init__(reason)
        self.is_transient = is_transient


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Return the text with every reference replaced, or raise `BadReference` with all that cannot be resolved.

    Invisible characters at the ends of a variable or a file are ignored. A plain mapping allows every variable and
    file, and reads files each time; `Variables` reads each file once.
    """
    unresolved: list[UnresolvedReference] = []
    variables = _variables(environ)

    def replace(match: re.Match[str]) -> str:
        try:
            return _resolve(match[1], variables).strip(INVISIBLE_AT_ENDS)
        except _Unresolvable as error:
            unresolved.append(UnresolvedReference(*match.span(), str(error), error.is_transient))
            return ""

    result = _REFERENCE.sub(replace, text)
    opened = text.rfind("${")
    if opened >= 0 and "}" not in text[opened:]:
        reason = f"this ${{ has no closing }}; {_FORMS}"
        unresolved.append(UnresolvedReference(opened, len(text), reason, is_transient=False))
    if unresolved:
        raise BadReference(unresolved)
    return result


def reference_values(text: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the value of each reference in the text, unchanged, except those that cannot be resolved."""
    for match in _REFERENCE.finditer(text):
        try:
            yield _resolve(match[1], _variables(environ))
        except _Unresolvable:
            continue


def _variables(environ: Mapping[str, str]) -> Variables:
    return environ if isinstance(environ, Variables) else Variables(environ)


def _resolve(reference: str, environ: Variables) -> str:
    if reference.startswith("file:"):
        return _read_file(_absolute_path(reference.removeprefix("file:"), environ), environ)
    variable = _VARIABLE.fullmatch(reference)
    if variable is None:
        raise _Unresolvable(f"this ${{...}} is not a reference; {_FORMS}")
    value, name = environ.get(variable[1], ""), mask_secrets(variable[1])
    if not environ.allows_name(variable[1]):
        raise _Unresolvable(f"${{{name}}} is not allowed in a remote store; start with --allow-env {name} to allow it")
    if not value and variable[2] is None:
        message = f"${{{name}}} is not set; set it in the environment or in --env-file, or write ${{{name}:-default}}"
        raise _Unresolvable(message, is_transient=environ.can_change)
    return value or str(variable[3])


def _absolute_path(path: str, environ: Variables) -> str:
    if not path.startswith(_CREDENTIALS):
        return path
    directory = environ.credentials_directory
    if directory is None:
        raise _Unresolvable(
            f"{_CREDENTIALS[:-1]} is not set: systemd sets it for a service with LoadCredential=; in a shell, run the "
            "command with systemd-run, as docs/deploying.md shows"
        )
    return f"{directory}/{path.removeprefix(_CREDENTIALS)}"


def _read_file(path: str, environ: Variables) -> str:
    shown = mask_secrets(visible(path))
    failure = f"${{file:{shown}}} cannot be read"
    try:
        if not environ.allows_file(path):
            fix = "start with --allow-files and its directory to allow it"
            raise _Unresolvable(f"{failure}: it is in no directory that is allowed for a remote store; {fix}")
        data = environ.read_file(path)
        if len(data) > MAX_SECRET_BYTES:
            reason = f"it is larger than {MAX_SECRET_BYTES // 1024} KiB; name a smaller file"
            raise _Unresolvable(f"{failure}: {reason}", is_transient=True)
        return data.decode("utf-8").strip()
    except (NotARegularFile, IsADirectoryError):
        raise _Unresolvable(f"{failure}: it is not a regular file; name a file", is_transient=True) from None
    except OSError as error:
        fix = fix_for(error, "check the path and its permissions")
        raise _Unresolvable(f"{failure}: {error.strerror}; {fix}", is_transient=True) from None
    except UnicodeDecodeError:
        raise _Unresolvable(f"{failure}: it is not UTF-8 text; save it as UTF-8", is_transient=True) from None
    except ValueError:
        raise _Unresolvable(f"{failure}: this is not a path; write ${{file:PATH}}") from None
