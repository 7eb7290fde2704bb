"""The programs of docs/uploaders.md: how each is made from its recipe, and its version."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.harness.npm import install_packages
from tests.harness.processes import run
from tests.harness.programs import require_program, unavailable
from tests.uploaders.table import npm_version, pip_version

HERE = Path(__file__).parent
GSON = Path("/usr/share/java/gson.jar")


@dataclass(frozen=True)
class Program:
    """A client that is a process, by its heading in the document."""

    title: str
    language: str
    file: str
    command: Callable[[Path], Awaitable[list[object]]]
    """Returns what runs the file with the recipe."""
    pinned: Callable[[], str] | None = None
    """Returns its version, if the project chooses it."""
    version_command: tuple[str, ...] = ()

    async def version(self) -> str:
        """Return the version of what runs here."""
        if self.pinned is not None:
            return self.pinned()
        shown = await run(*self.version_command)
        [version, *_] = re.findall(r"\d+(?:\.\d+)+", shown.out + shown.err)
        return str(version)


async def _bash(file: Path) -> list[object]:
    require_program("jq")
    require_program("curl")
    return ["bash", file]


async def _python(file: Path) -> list[object]:
    return [sys.executable, file]


async def _node(file: Path) -> list[object]:
    await install_packages(HERE)
    if not (link := file.parent / "node_modules").exists():
        link.symlink_to(HERE / "node_modules")
    return ["node", file]


async def _java(file: Path) -> list[object]:
    java = require_program("java")
    if not GSON.exists():
        unavailable(f"not installed: {GSON}")
    return [java, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", GSON, file]


async def _go(file: Path) -> list[object]:
    built = await run(require_program("go"), "build", "-o", file.with_suffix(""), file, cwd=file.parent)
    assert built.status == 0, built.err
    return [file.with_suffix("")]


PROGRAMS = [
    Program("curl", "bash", "upload.sh", _bash, version_command=("curl", "--version")),
    Program("curl: PUT", "bash", "upload.sh", _bash, version_command=("curl", "--version")),
    Program("Python: requests", "python", "upload.py", _python, lambda: pip_version("requests")),
    Program("Python: requests, PUT", "python", "upload.py", _python, lambda: pip_version("requests")),
    Program("Python: httpx", "python", "upload.py", _python, lambda: pip_version("httpx")),
    Program("Python: aiohttp", "python", "upload.py", _python, lambda: pip_version("aiohttp")),
    Program("Node.js: fetch", "js", "upload.mjs", _node, version_command=("node", "--version")),
    Program("Node.js: fetch, PUT", "js", "upload.mjs", _node, version_command=("node", "--version")),
    Program("Node.js: axios", "js", "upload.mjs", _node, lambda: npm_version("axios")),
    Program("Node.js: got", "js", "upload.mjs", _node, lambda: npm_version("got")),
    Program("Java: HttpClient", "java", "Upload.java", _java, version_command=("java", "-version")),
    Program("Go: net/http", "go", "upload.go", _go, version_command=("go", "version")),
]
