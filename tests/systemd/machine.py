"""Boots systemd in namespaces of its own, on the network of this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.processes import ROOT, Process, launch, run
from tests.harness.programs import unavailable
from tests.harness.waiting import wait_until

HERE = Path(__file__).parent
PROJECT = "/mnt/project"
"""Where the project is mounted inside."""
_PACKAGES = "/mnt/packages"


@dataclass(frozen=True, slots=True)
class Machine:
    """A running systemd."""

    pid: int
    """The process id of its systemd, outside."""

    async def run(self, *command: str, succeeds: bool = True) -> str:
        """Run a command inside, and return its output and errors; it has to succeed, or to fail without `succeeds`."""
        namespaces = ("-t", self.pid, "-m", "-p", "-u", "-i", "-C")
        ended = await run("nsenter", *namespaces, "--", "sh", "-c", 'exec "$@" 2>&1', "-", *command)
        assert (ended.status == 0) is succeeds, f"{' '.join(command)}: {ended.status}\n{ended.out}"
        return ended.out

    async def write(self, path: str, text: str) -> None:
        """Write a file in one step."""
        script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1.tmp" && mv "$1.tmp" "$1"'
        await self.run("sh", "-c", script, "-", path, text)

    async def property(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return (await self.run("systemctl", "show", "--property", name, "--value", unit)).strip()

    async def journal(self, unit: str) -> str:
        """Return the journal of a unit."""
        return await self.run("journalctl", "--no-pager", "--output=cat", "--unit", unit)

    async def wait_for_property(self, unit: str, name: str, pattern: str) -> str:
        """Return a property of a unit, once it matches the pattern."""

        async def matches() -> str:
            value = await self.property(unit, name)
            return value if re.search(pattern, value) else ""

        return await wait_until(matches)

    async def install(self, *settings: str, source: str = PROJECT) -> str:
        """Run `make install` with the packages of the tests."""
        python = f"PYTHON={sys.base_prefix}/bin/python3"
        return await self.run(
            "make", "-C", source, "install", python, f"VENV_FROM={_PACKAGES}", "ALLOW_HOME_PYTHON=1", *settings
        )


def python_below_a_home() -> str:
    """Return what a unit needs if the Python of the tests is below a home directory, which ProtectHome=yes hides."""
    if not sys.base_prefix.startswith(("/root/", "/home/")):
        return ""
    return f"ProtectHome=tmpfs\nBindReadOnlyPaths={sys.base_prefix}\n"


def _obstacle() -> str | None:
    """Return the reason why systemd cannot be booted here, or None."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "needs root on Linux"
    missing = [name for name in ("unshare", "nsenter", "make") if shutil.which(name) is None]
    if not Path("/lib/systemd/systemd").exists():
        missing.append("systemd")
    if missing:
        return f"not installed: {', '.join(missing)}"
    return None if _control_groups() else "no cgroup2 is mounted"


def require_systemd() -> None:
    """Skip the test if systemd cannot be booted here; in CI, fail it."""
    reason = _obstacle()
    if reason is not None:
        unavailable(reason)


@contextlib.asynccontextmanager
async def machine(scratch: Path) -> AsyncIterator[Machine]:
    """Boot a machine; in the end all of its processes are killed."""
    groups = _control_groups()
    assert groups is not None
    group = groups / f"oss-signer-test-{os.getpid()}"
    group.mkdir()
    into_group = f'echo $$ > {group}/cgroup.procs && exec "$@"'
    namespaces = ("--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts", "--ipc", "--cgroup")
    command = ("sh", "-c", into_group, "-", "unshare", *namespaces, HERE / "boot", scratch, ROOT, sys.prefix)
    try:
        async with launch(*command) as outer:
            try:
                yield await wait_until(lambda: _booted(outer))
            finally:
                # unshare ignores SIGTERM.
                outer.kill()
    finally:
        await wait_until(lambda: _remove(group))


async def _booted(outer: Process) -> Machine | None:
    assert outer.returncode is None, "".join(outer.errors)
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text(encoding="ascii").split()
    if not children or Path(f"/proc/{children[0]}/comm").read_text(encoding="ascii").strip() != "systemd":
        return None
    machine = Machine(int(children[0]))
    with contextlib.suppress(AssertionError):
        if "test.target" in await machine.run("systemctl", "list-units", "--state=active", "test.target"):
            return machine
    return None


def _remove(group: Path) -> bool:
    """Remove a control group, which is possible once the kernel has ended its last process."""
    for directory, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            Path(directory).rmdir()
    return not group.exists()


def _control_groups() -> Path | None:
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    found = re.search(r"^\S+ (\S+) cgroup2 rw", mounts, re.MULTILINE)
    return None if found is None else Path(found[1])
