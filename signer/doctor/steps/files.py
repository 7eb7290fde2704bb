"""Step `files`: can this user read and write the files of the configuration, and can other users."""

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from signer.definitions.redaction import mask_secrets
from signer.definitions.registry import Registry
from signer.doctor.findings import Finding, Subject, Verdict
from signer.environment import CREDENTIALS_DIRECTORY, CannotReadEnvironment, Environment
from signer.file_calls import fix_for, run_with_deadline

_FILE_REFERENCE = re.compile(r"\$\{file:([^}\n]+)\}")


def check_environment_file(environment: Environment) -> Finding:
    """Check the file of `--env-file`."""
    subject = Subject("files", str(environment.file))
    finding = _check_referenced_file(subject.name)
    if finding.verdict is Verdict.FAILED:
        return finding
    try:
        environment.read()
    except CannotReadEnvironment as error:
        what = str(error).removeprefix(f"{environment.file}: ").partition("; ")[0]
        return subject.failed(what, _fix_unreadable(subject.name))
    return finding


def check_read_files(files: Mapping[str, str]) -> list[Finding]:
    """Check the files of definitions, by name, and every file that they refer to with `${file:PATH}`."""
    found = [_check_definition_file(name) for name in files if "://" not in name]
    lines = [line for text in files.values() for line in text.splitlines() if not line.lstrip().startswith("#")]
    paths = dict.fromkeys(path for line in lines for path in _FILE_REFERENCE.findall(line))
    return [*(finding for finding in found if finding is not None), *map(_check_referenced_file, paths)]


def check_output_files(registry: Registry) -> list[Finding]:
    """Check the certificate's files, the audit log and the callback queue."""
    queue, tls = registry.server.callback_queue, registry.server.tls
    outputs = {"audit": registry.audit, "server.callback_queue": None if queue is None else queue.get_secret_value()}
    found = []
    if tls is not None:
        found += [_check_referenced_file(tls.certificate, is_public=True), _check_referenced_file(tls.key)]
    for key, path in outputs.items():
        if path is not None and path != "stdout" and "://" not in path:
            found.append(_check_writable(key, Path(path)))
    return found


def _check_definition_file(name: str) -> Finding | None:
    try:
        mode = run_with_deadline(Path(name), lambda: Path(name).stat().st_mode)
    except OSError:
        return None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return Subject("files", name).warning("other users can write it and redirect uploads", f"chmod go-w {name}")
    return None


def _check_referenced_file(path: str, *, is_public: bool = False) -> Finding:
    subject = Subject("files", mask_secrets(path))
    if directory := os.environ.get(CREDENTIALS_DIRECTORY):
        path = path.replace(f"${CREDENTIALS_DIRECTORY}", directory)

    def check() -> Finding:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return subject.failed("cannot be read: it is not a regular file", _fix_unreadable(subject.name))
        with Path(path).open("rb") as stream:
            stream.read(1)
        return subject.ok("can be read") if is_public else _check_secret_file(subject, path)

    return _check_within_deadline(subject, path, check)


def _check_within_deadline(subject: Subject, path: str, check: Callable[[], Finding]) -> Finding:
    try:
        return run_with_deadline(Path(path), check)
    except OSError as error:
        return subject.failed(f"cannot be read: {error.strerror}", fix_for(error, _fix_unreadable(subject.name)))
    except ValueError:
        return subject.failed("cannot be read: this is not a path", _fix_unreadable(subject.name))


def _check_secret_file(subject: Subject, path: str) -> Finding:
    mode = Path(path).stat().st_mode
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        fix = f"chmod o-rwx {subject.name}; in Kubernetes: defaultMode: 0400 of the volume"
        return subject.warning("every user of this machine can read it", fix)
    return subject.ok("can be read, by no other users")


def _fix_unreadable(path: str) -> str:
    return (
        f"create it, or let the service's user read it: install -m 0400 -o oss-signer FILE {path}; "
        "under systemd: LoadCredential= and ${file:$CREDENTIALS_DIRECTORY/NAME}"
    )


def _check_writable(key: str, path: Path) -> Finding:
    subject = Subject("files", str(path))

    def check() -> Finding:
        if not path.parent.is_dir():
            fix = f"install -d -o oss-signer -m 0750 {path.parent}"
            return subject.failed(f"{key}: its directory does not exist", fix)
        existing = path if path.exists() else path.parent
        if not os.access(existing, os.W_OK):
            fix = f"chown oss-signer {existing}; under systemd: StateDirectory=, LogsDirectory="
            return subject.failed(f"{key}: this user cannot write it", fix)
        return subject.ok(f"{key}: can be written")

    return _check_within_deadline(subject, str(path), check)
