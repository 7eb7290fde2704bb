"""Warns of definitions that the place they are deployed to makes useless."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from signer.definitions.mistakes import Mistake, Place, Violation
from signer.definitions.places import locate
from signer.definitions.registry import Registry
from signer.file_calls import await_with_deadline

_UNIT = "oss-signer.socket"
_UNIT_DIRECTORIES = tuple(map(Path, ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")))
"""See: https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html"""
_MOUNTS = Path("/proc/self/mountinfo")
_MOUNT_POINT_COLUMN = 4
_ESCAPE = re.compile(r"\\([0-7]{3})")

LISTEN_IS_NOT_USED = (
    f"is not used, because systemd's {_UNIT} owns the address; remove the key, and change ListenStream= in the unit"
)


async def deployment_warnings(
    registry: Registry, location: str, *, unit_directories: Iterable[Path] = _UNIT_DIRECTORIES, mounts: Path = _MOUNTS
) -> list[Mistake]:
    """Return the warnings for definitions at a location on this machine, with places; none if it cannot be read."""
    directories = tuple(unit_directories)
    try:
        return await await_with_deadline(
            ("deployment", location), lambda: list(_warnings(registry, location, directories, mounts))
        )
    except OSError:  # A file system that hangs must not keep the signer from starting.
        return []


def _warnings(registry: Registry, location: str, unit_directories: tuple[Path, ...], mounts: Path) -> Iterator[Mistake]:
    if "://" not in location and _is_mount_point(Path(location), mounts):
        message = (
            "this file is mounted by itself, so a file that replaces it outside is not seen here; "
            "mount its directory instead"
        )
        yield Mistake(Place(location, 1, 1), message)
    document = registry.document
    is_listen_set = "listen" in registry.server.model_fields_set
    if document is not None and is_listen_set and any((each / _UNIT).exists() for each in unit_directories):
        yield from locate([Violation(("server", "listen"), f"this address {LISTEN_IS_NOT_USED}")], document)


def _is_mount_point(path: Path, mounts: Path) -> bool:
    """Return whether a file is a mount point, as with `docker run -v FILE:FILE` and a ConfigMap's `subPath`.

    See: https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    """
    if not path.is_file():
        return False
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # no Linux
        return False
    points = (_ESCAPE.sub(lambda code: chr(int(code[1], 8)), line.split()[_MOUNT_POINT_COLUMN]) for line in lines)
    return str(path.resolve()) in points
