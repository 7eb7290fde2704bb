"""The units and what `make install` installs, checked by systemd's own tools and a list of the directives of systemd 239."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.processes import ROOT, run
from tests.harness.programs import require_program
from tests.systemd.known_to_239 import KNOWN

UNITS = ("oss-signer.service", "oss-signer@.service", "oss-signer.socket", "oss-signer.target", "service.conf")
NEWER = "newer-systemd.conf"
MAX_EXPOSURE = 1.2


async def make(target: str, destination: Path, *settings: str) -> str:
    python = (f"PYTHON={sys.executable}", f"VENV_FROM={sys.prefix}", "ALLOW_HOME_PYTHON=1")
    ended = await run("make", target, f"DESTDIR={destination}", *python, *settings)
    assert ended.status == 0, ended.out + ended.err
    return ended.out + ended.err


def files(directory: Path) -> dict[str, str]:
    """Return the content of each file and the target of each link, without the packages."""
    return {
        str(path.relative_to(directory)): str(path.readlink())
        if path.is_symlink()
        else path.read_text(encoding="utf-8")
        for path in sorted(directory.rglob("*"))
        if (path.is_symlink() or path.is_file()) and "releases" not in path.parts
    }


def directives(name: str) -> list[tuple[str, str]]:
    section, found = "", []
    for line in (ROOT / "systemd" / name).read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
        elif line and not line.startswith("#"):
            found.append((section, line.partition("=")[0]))
    return found


@pytest.mark.parametrize("name", UNITS)
def test_the_units_use_only_directives_of_systemd_239(name: str) -> None:
    assert [each for each in directives(name) if each[1] not in KNOWN[each[0]]] == []


def test_each_worker_has_a_memory_limit_for_ten_thousand_apps() -> None:
    """A worker with 10,000 apps in use needs 500 MB while an edit of all of them is loaded."""
    [limit] = re.findall(
        r"^MemoryMax=(\d+)G$", (ROOT / "systemd/service.conf").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert 1 <= int(limit) <= 2


def test_newer_directives_are_in_their_own_file() -> None:
    assert all(name not in KNOWN[section] for section, name in directives(NEWER))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    destination = tmp_path_factory.mktemp("destination")
    await make("install", destination, "WORKERS=2")
    return destination


async def analyzed(*arguments: str) -> str:
    environ = {"SYSTEMD_LOG_LEVEL": "warning", "SYSTEMD_COLORS": "0"}
    ended = await run(require_program("systemd-analyze"), *arguments, environ=environ)
    assert ended.status == 0, ended.out + ended.err
    return ended.out + ended.err


@pytest.mark.parametrize("unit", ["oss-signer.service", "oss-signer@1.service"])
async def test_the_exposure_is_low(unit: str, installed: Path) -> None:
    # --threshold is in tenths, and exceeding it is a failure.
    output = await analyzed(
        "security", "--offline=yes", f"--root={installed}", f"--threshold={MAX_EXPOSURE * 10:.0f}", "--no-pager", unit
    )
    [exposure] = re.findall(r"Overall exposure level for .*: ([\d.]+)", output)
    print(f"{unit}: exposure {exposure}")
    assert float(exposure) <= MAX_EXPOSURE


async def test_installing_again_changes_nothing(installed: Path) -> None:
    before = files(installed)
    await make("install", installed, "WORKERS=2")
    assert files(installed) == before


async def test_the_number_of_workers_can_change(tmp_path: Path) -> None:
    wants = tmp_path / "usr/local/lib/systemd/system/oss-signer.target.wants"
    activates = wants.parent / "oss-signer.socket.d/10-workers.conf"
    shared = wants.parent / "oss-signer@.service.d/30-workers.conf"
    for workers in (3, 1, 2):
        await make("install", tmp_path, f"WORKERS={workers}")
        expected = [f"oss-signer@{number}.service" for number in range(1, workers + 1)]
        assert sorted(path.name for path in wants.iterdir()) == (expected if workers > 1 else ["oss-signer.service"])
        assert activates.exists() is (workers > 1)
        assert shared.read_text(encoding="ascii") == f"[Service]\nEnvironment=OSS_SIGNER_WORKERS={workers}\n"
    refused = await run("make", "install", f"DESTDIR={tmp_path}", "WORKERS=many")
    assert "neither a number" in refused.err


async def test_uninstalling_keeps_the_files_of_others(tmp_path: Path) -> None:
    await make("install", tmp_path, "PREFIX=/srv/signer", "UNITDIR=/usr/lib/systemd/system")
    unit = (tmp_path / "usr/lib/systemd/system/oss-signer@.service").read_text(encoding="utf-8")
    assert "ExecStart=/srv/signer/bin/oss-signer serve" in unit
    (tmp_path / "etc/sysctl.d/60-oss-signer.conf").write_text("net.core.somaxconn = 8192\n", encoding="utf-8")
    override = tmp_path / "usr/lib/systemd/system/oss-signer@.service.d/override.conf"
    override.write_text("[Service]\n", encoding="utf-8")
    other = tmp_path / "srv/signer/bin/other"
    other.touch()
    await make("uninstall", tmp_path, "PREFIX=/srv/signer", "UNITDIR=/usr/lib/systemd/system")
    assert sorted(files(tmp_path)) == [
        "etc/oss-signer/signer.yaml",
        "etc/sysctl.d/60-oss-signer.conf",
        "srv/signer/bin/other",
        str(override.relative_to(tmp_path)),
    ]
    await make("uninstall", tmp_path, "PREFIX=/srv/signer", "UNITDIR=/usr/lib/systemd/system")


async def test_logrotate_accepts_its_file(installed: Path, tmp_path: Path) -> None:
    command = (require_program("logrotate"), "--debug", "--state", tmp_path / "state")
    output = await run(*command, installed / "etc/logrotate.d/oss-signer")
    assert output.status == 0, output.err
    assert "error" not in output.err
