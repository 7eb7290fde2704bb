"""Steps `definitions` and `files`: can what is configured be read, and by nobody else."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from signer.definitions.masking import mask_secrets
from signer.definitions.mistakes import BadDefinitions, Mistake
from signer.definitions.quantities import format_count
from signer.definitions.registry import Registry
from signer.doctor.findings import About, Finding
from signer.environment import CannotReadEnvironment, Environment
from signer.live.reload import Definitions
from signer.stores.protocol import CannotRead
from signer.stores.store_factory import open_store

_FILE_REFERENCE = re.compile(r"\$\{file:([^}\n]+)\}")
_READ_FAILED = re.compile(r"\$\{file:[^}]*\} cannot be read")
_CHECK = "`oss-signer check` shows each place; mend the line and run doctor again"


@dataclass(frozen=True, slots=True)
class Read:
    """The definitions, None where they cannot be used, and what was found on the way."""

    registry: Registry | None
    findings: list[Finding]


async def read(config: str, environment: Environment) -> Read:
    """Never raises: what is wrong is a finding."""
    found: list[Finding] = []
    if environment.file is not None:
        found.append(await asyncio.to_thread(_environment_file, environment))
    try:
        store = open_store(config)
    except CannotRead as error:
        return Read(None, [*found, About("definitions", "").failed(*_told(error))])
    about = About("definitions", store.location)
    try:
        definitions = Definitions(store, environment)
        files = (await definitions.load()).files
        found += await asyncio.to_thread(_files, files)
        registry = await definitions.parse(files)
    except CannotRead as error:
        return Read(None, [*found, about.failed(*_told(error))])
    except CannotReadEnvironment:
        return Read(None, [*found, about.not_checked("because the environment file cannot be read")])
    except BadDefinitions as error:
        return Read(None, [*found, *_mistakes(about, error.mistakes)])
    finally:
        await store.close()
    apps = format_count(len(registry.apps), "app")
    found.append(about.ok(f"{apps} on {format_count(len(registry.longest_expires()), 'role')}"))
    found += await asyncio.to_thread(_warnings, about, registry)
    found += await asyncio.to_thread(_written_files, registry)
    return Read(registry, found)


def _told(error: CannotRead) -> tuple[str, str]:
    what, _, mend = str(error).partition("; ")
    return what, mend or "see that the store can be reached and read from this machine, as the user of the service"


def _mistakes(about: About, mistakes: list[Mistake]) -> list[Finding]:
    """A file that cannot be read is told once, by its own finding."""
    others = [each for each in mistakes if not _READ_FAILED.search(each.message)]
    if not others:
        return [about.not_checked("because a file that they name cannot be read")]
    return [About("definitions", str(each.place)).failed(each.message, _CHECK) for each in others]


def _warnings(about: About, registry: Registry) -> list[Finding]:
    warnings = registry.warnings()
    if not warnings:
        return []
    first = warnings[0]
    what = f"{format_count(len(warnings), 'warning')}; the first: {first.place}: {first.message}"
    return [about.warning(what, "`oss-signer check` lists them all")]


def _environment_file(environment: Environment) -> Finding:
    about = About("files", str(environment.file))
    try:
        environment.read()
    except CannotReadEnvironment as error:
        return about.failed(
            str(error).removeprefix(f"{environment.file}: ").partition("; ")[0], _readable(about.subject)
        )
    return _secret_file(about)


def _files(files: Mapping[str, str]) -> list[Finding]:
    found = [_definition_file(name) for name in files if "://" not in name]
    paths = dict.fromkeys(path for text in files.values() for path in _FILE_REFERENCE.findall(_without_remarks(text)))
    return [*(each for each in found if each is not None), *map(_referred_file, paths)]


def _without_remarks(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _definition_file(name: str) -> Finding | None:
    try:
        mode = Path(name).stat().st_mode
    except OSError:
        return None
    if not mode & (stat.S_IWGRP | stat.S_IWOTH):
        return None
    return About("files", name).warning("others may write it, and so choose where uploads go", f"chmod go-w {name}")


def _referred_file(path: str, *, public: bool = False) -> Finding:
    about = About("files", mask_secrets(path))
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return about.failed("cannot be read: it is not a regular file", _readable(about.subject))
        with Path(path).open("rb") as stream:
            stream.read(1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is not a path"
        return about.failed(f"cannot be read: {reason}", _readable(about.subject))
    return about.ok("can be read") if public else _secret_file(about, path)


def _secret_file(about: About, path: str | None = None) -> Finding:
    place = path or about.subject
    mode = Path(place).stat().st_mode
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        mend = f"chmod o-rwx {about.subject}; in Kubernetes defaultMode: 0400 of the volume"
        return about.warning("everybody on this machine may read it", mend)
    return about.ok("can be read, by no others")


def _readable(path: str) -> str:
    return (
        f"make it, or let the service's user read it: install -m 0400 -o oss-signer FILE {path}; "
        "under systemd: LoadCredential= and ${file:/run/credentials/oss-signer.service/NAME}"
    )


def _written_files(registry: Registry) -> Iterable[Finding]:
    """What the service writes: the audit log and the callback queue."""
    queue = registry.server.callback_queue
    places = {"audit": registry.audit, "server.callback_queue": None if queue is None else queue.get_secret_value()}
    tls = registry.server.tls
    read = [] if tls is None else [_referred_file(tls.certificate, public=True), _referred_file(tls.key)]
    return [
        *read,
        *_writable_files(places),
    ]


def _writable_files(places: Mapping[str, str | None]) -> Iterable[Finding]:
    return [
        _writable(key, Path(place))
        for key, place in places.items()
        if place is not None and place != "stdout" and "://" not in place
    ]


def _writable(key: str, path: Path) -> Finding:
    about = About("files", str(path))
    if not path.parent.is_dir():
        return about.failed(f"{key}: its directory does not exist", f"install -d -o oss-signer -m 0750 {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        mend = (
            f"chown oss-signer {path if path.exists() else path.parent}; under systemd: StateDirectory=, LogsDirectory="
        )
        return about.failed(f"{key}: this user may not write it", mend)
    return about.ok(f"{key}: can be written")
