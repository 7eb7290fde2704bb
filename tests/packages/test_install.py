"""`make install` from wheels alone, on another patch release of Python, with a plugin that later releases keep."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.harness.processes import ROOT, Completed, run
from tests.harness.programs import unavailable

pytestmark = pytest.mark.slow

DEBIAN_PYTHON = Path("/usr/bin/python3.11")
SOURCES = (
    "Makefile", "pyproject.toml", "LICENSE", "README.md", "requirements.txt", "requirements.lock",
    "signer", "localcloud", "systemd", "config",
)  # fmt: skip
NO_INDEX = {
    "PIP_NO_INDEX": "1",
    "PIP_INDEX_URL": "http://127.0.0.1:9/",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
}
DEFINITIONS = """\
version: 1
credentials: {r: {type: ecs_ram_role}}
apps: {a: {bucket: photos, region: ap-southeast-1, credentials: r, key_prefix: a/, callers: {type: client_cert}}}
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    return copy


def plugin(directory: Path) -> Path:
    """Write the plugin of docs/callers.md, and return its project."""
    document = (ROOT / "docs/callers.md").read_text("utf-8")
    directory.mkdir()
    for language, name in (("python", "client_cert.py"), ("toml", "pyproject.toml")):
        [text] = re.findall(rf"^```{language}\n(.*?)^```$", document.partition("## Your own type")[2], re.M | re.S)
        (directory / name).write_text(text, encoding="utf-8")
    return directory


async def install(checkout: Path, destination: Path, *settings: str) -> Completed:
    command = ("make", "install", f"DESTDIR={destination}", f"PYTHON={DEBIAN_PYTHON}", *settings)
    return await run(*command, cwd=checkout, environ=NO_INDEX)


def release(destination: Path) -> Path:
    return destination / "opt/oss-signer" / (destination / "opt/oss-signer/current").readlink()


async def check_with_plugin(destination: Path, directory: Path) -> None:
    config = directory / "signer.yaml"
    config.write_text(DEFINITIONS, encoding="utf-8")
    python = release(destination) / "bin/python"
    checked = await run(python, "-IB", "-m", "signer", "check", "--config", config)
    assert checked.status == 0, checked.out + checked.err


async def test_wheels_install_without_an_index_on_another_python_and_keep_plugins(
    checkout: Path, tmp_path: Path
) -> None:
    if not DEBIAN_PYTHON.exists() or not Path("/usr/lib/python3.11/ensurepip").exists():
        unavailable("there is no second Python 3.11 with the module venv (Debian: python3-venv)")
    made = await run("make", "wheels", f"PYTHON={sys.executable}", cwd=checkout)
    if made.status != 0:
        unavailable(f"the packages cannot be downloaded: {made.err}")
    wheels, destination = checkout / "dist/wheels", tmp_path / "root"
    # Python 3.11.2 needs it, and 3.11.3 and newer do not.
    assert list(wheels.glob("async_timeout-*.whl"))
    built = await run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, plugin(tmp_path / "plugin")
    )
    assert built.status == 0, built.err

    installed = await install(checkout, destination, "WHEELS=dist/wheels", "PLUGINS=client-cert-callers==1.0")
    assert installed.status == 0, installed.out + installed.err
    await check_with_plugin(destination, tmp_path)
    first = release(destination)

    with (checkout / "signer/errors.py").open("a", encoding="utf-8") as file:
        file.write("# another release\n")
    again = await install(checkout, destination, "WHEELS=dist/wheels")
    assert again.status == 0, again.out + again.err
    assert release(destination) != first
    await check_with_plugin(destination, tmp_path)


async def test_a_python_that_the_units_cannot_see_is_refused(checkout: Path, tmp_path: Path) -> None:
    base = Path(sys.base_prefix).resolve()
    if not base.is_relative_to("/root") and not base.is_relative_to("/home"):
        pytest.skip("the Python of the tests is not below /root or /home")
    command = ("make", "install", f"DESTDIR={tmp_path}", f"PYTHON={sys.executable}")
    refused = await run(*command, cwd=checkout)
    assert refused.status != 0
    assert f"is in {base}, which the units cannot see (ProtectHome=yes)" in refused.err
    assert list(tmp_path.iterdir()) == []


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def test_the_sdist_builds_the_same_wheel(checkout: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation"]
    # Without --wheel, the wheel is built from the sdist.
    for name, options in (("from_sdist", ()), ("direct", ("--wheel",))):
        built = await run(*build, *options, "--outdir", tmp_path / name, checkout)
        assert built.status == 0, built.out + built.err
    [sdist] = (tmp_path / "from_sdist").glob("oss_signer-*.tar.gz")
    [from_sdist], [direct] = ((tmp_path / name).glob("*.whl") for name in ("from_sdist", "direct"))
    assert from_sdist.name == direct.name
    assert contents(from_sdist) == contents(direct)
    names = contents(direct)
    assert {"signer/py.typed", "signer/demo/oss-signer.yaml", "localcloud/__main__.py"} <= names.keys()
    assert sdist.stat().st_size > 0
