"""A real systemd in namespaces of its own, on the network of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.running import ROOT

HERE = Path(__file__).parent
PROJECT = "/mnt/project"
"""Where the project is inside."""
_PACKAGES = "/mnt/packages"
_START_SECONDS = 30
_COMMAND_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Machine:
    pid: int
    """Of its systemd, as seen from here."""

    async def run(self, *command: str, succeeds: bool = True) -> str:
        """What a command inside said, errors too; `succeeds` is how it has to end."""
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C", "--", *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        said = output.decode()
        assert (process.returncode == 0) is succeeds, f"{' '.join(command)}: {process.returncode}\n{said}"
        return said

    async def write(self, path: str, text: str) -> None:
        """A whole file, put in its place in one step."""
        script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1.tmp" && mv "$1.tmp" "$1"'
        await self.run("sh", "-c", script, "-", path, text)

    async def property(self, unit: str, name: str) -> str:
        return (await self.run("systemctl", "show", "--property", name, "--value", unit)).strip()

    async def journal(self, unit: str) -> str:
        return await self.run("journalctl", "--no-pager", "--output=cat", "--unit", unit)

    async def until(self, unit: str, name: str, pattern: str) -> str:
        """The property, once it is so."""
        async with asyncio.timeout(_COMMAND_SECONDS):
            while True:
                value = await self.property(unit, name)
                if re.search(pattern, value):
                    return value
                await asyncio.sleep(0.05)

    async def install(self, *settings: str, source: str = PROJECT) -> str:
        """`make install`, with the packages of the tests."""
        python = f"PYTHON={sys.base_prefix}/bin/python3"
        return await self.run("make", "-C", source, "install", python, f"VENV_FROM={_PACKAGES}", *settings)


def python_below_a_home() -> str:
    """What a unit needs where the Python of the tests lies below a home directory, which ProtectHome=yes hides."""
    if not sys.base_prefix.startswith(("/root/", "/home/")):
        return ""
    return f"ProtectHome=tmpfs\nBindReadOnlyPaths={sys.base_prefix}\n"


def why_not() -> str | None:
    """Why no systemd can be booted here; None where one can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "needs root on Linux"
    missing = [name for name in ("unshare", "nsenter", "make") if shutil.which(name) is None]
    if not Path("/lib/systemd/systemd").exists():
        missing.append("systemd")
    if missing:
        return f"not installed: {', '.join(missing)}"
    return None if _control_groups() else "no cgroup2 is mounted"


def skip_unless_possible() -> None:
    """On a laptop a skip, in CI a failure."""
    reason = why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@contextlib.asynccontextmanager
async def machine(scratch: Path) -> AsyncIterator[Machine]:
    """Booted; all its processes are killed in the end."""
    groups = _control_groups()
    assert groups is not None
    group = groups / f"oss-signer-test-{os.getpid()}"
    group.mkdir()
    into_group = f'echo $$ > {group}/cgroup.procs && exec "$@"'
    namespaces = ("--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts", "--ipc", "--cgroup")
    outer = await asyncio.create_subprocess_exec(
        *("sh", "-c", into_group, "-", "unshare", *namespaces),
        *(str(HERE / "boot"), str(scratch), str(ROOT), sys.prefix),
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        yield await _booted(outer)
    finally:
        if outer.returncode is None:
            outer.kill()
        await outer.wait()
        await _remove(group)


async def _booted(outer: asyncio.subprocess.Process) -> Machine:
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    async with asyncio.timeout(_START_SECONDS):
        while outer.returncode is None:
            inner = children.read_text(encoding="ascii").split()
            if inner and Path(f"/proc/{inner[0]}/comm").read_text(encoding="ascii").strip() == "systemd":
                up = Machine(int(inner[0]))
                with contextlib.suppress(AssertionError):
                    if "test.target" in await up.run("systemctl", "list-units", "--state=active", "test.target"):
                        return up
            await asyncio.sleep(0.05)
    raise AssertionError(f"systemd did not start: {outer.returncode}")


async def _remove(group: Path) -> None:
    """Once its last process is gone, which the kernel needs a moment for."""
    async with asyncio.timeout(_START_SECONDS):
        while group.exists():
            for directory, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(directory).rmdir()
            await asyncio.sleep(0.02)


def _control_groups() -> Path | None:
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    found = re.search(r"^\S+ (\S+) cgroup2 rw", mounts, re.MULTILINE)
    return None if found is None else Path(found[1])
