"""The packages that `make package` builds: the upload library's tarball and the wheel, as their users install them."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.harness.npm import install_packages
from tests.harness.processes import ROOT, launch, run
from tests.harness.programs import require_program, unavailable

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
UPLOAD = ROOT / "miniprogram" / "upload"
SAMPLE = ROOT / "miniprogram" / "sample"
TARBALL = "oss-signer-upload-1.0.0.tgz"
INSTALL = re.compile(r"^npm install (\S+/)?" + re.escape(TARBALL) + "$", re.MULTILINE)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the packages are built from."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("Makefile", "pyproject.toml", "LICENSE", "README.md", "requirements.txt", "requirements.lock"):
        shutil.copy(ROOT / name, copy)
    for name in ("signer", "localcloud", "miniprogram/upload", "systemd"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    return copy


@pytest.fixture
async def dist(directory: Path) -> Path:
    """The directory with both packages, built by `make package`."""
    require_program("npm")
    dist = directory / "dist"
    if not dist.exists():
        # The environment of the tests is complete, so make does not install it again.
        built = await run("make", "package", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.dev", cwd=directory)
        if "Failed to fetch" in built.err:
            unavailable(f"the tools of make package cannot be downloaded: {built.err}")
        assert built.status == 0, built.out + built.err
    return dist


async def test_the_sbom_and_the_licences_name_each_dependency(dist: Path) -> None:
    sbom = json.loads((dist / "sbom.cdx.json").read_text("utf-8"))
    assert (sbom["bomFormat"], sbom["metadata"]["component"]["name"]) == ("CycloneDX", "oss-signer")
    listed = {f"{each['name']}=={each['version']}": each for each in sbom["components"]}
    pinned = re.findall(r"^([\w.-]+==[^\s;\\]+)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    assert listed.keys() == set(pinned)
    assert all(each["purl"].startswith("pkg:pypi/") for each in listed.values())
    licences = (dist / "LICENSES.txt").read_text("utf-8")
    for name, version in (pin.split("==") for pin in pinned):
        # Only Windows and Python 3.11.2 need these two.
        if name not in ("tzdata", "async-timeout"):
            assert re.search(
                rf"^{re.sub('[-_.]', '[-_.]', name)}\n{re.escape(version)}\n", licences, re.MULTILINE | re.IGNORECASE
            ), name


async def test_types_and_exports_of_the_tarball_resolve_everywhere(dist: Path) -> None:
    await install_packages(HERE)
    programs = HERE / "node_modules" / ".bin"
    # Only mini-programs use CommonJS; the entry points for bundlers are ES modules.
    types = await run(programs / "attw", dist / TARBALL, "--no-color", "--ignore-rules", "cjs-resolves-to-esm")
    assert types.status == 0, types.out + types.err
    exports = await run(programs / "publint", dist / TARBALL, "--strict")
    assert exports.status == 0, exports.out + exports.err
    assert "All good!" in exports.out, exports.out


def mini_program(directory: Path) -> Path:
    """Return a project with a package.json and a copied folder in miniprogram_npm."""
    project = directory / "mini_program"
    shutil.copytree(SAMPLE, project)
    (project / "package.json").write_text('{"name": "mini-program", "version": "1.0.0"}', encoding="utf-8")
    copied = project / "miniprogram_npm" / "copied"
    copied.mkdir()
    (copied / "index.js").write_text("module.exports = 1", encoding="utf-8")
    return project


@pytest.mark.parametrize("document", ["docs/miniprogram.md", "docs/miniprogram.zh-CN.md"])
async def test_the_documented_installation_survives_build_npm(document: str, dist: Path, tmp_path: Path) -> None:
    await install_packages(HERE / "build_npm")
    project = mini_program(tmp_path)
    [place] = INSTALL.findall((ROOT / document).read_text("utf-8"))
    (project / place).mkdir()
    shutil.copy(dist / TARBALL, project / place)
    installed = await run("npm", "install", "--no-audit", "--no-fund", f"{place}{TARBALL}", cwd=project)
    assert installed.status == 0, installed.err
    built = await run("node", HERE / "build_npm" / "build.cjs", project)
    assert built.status == 0, built.out + built.err
    packages = project / "miniprogram_npm"
    for name in ("index.js", "multipart.js"):
        library = packages / "@oss-signer" / "upload" / name
        assert library.read_bytes() == (UPLOAD / "miniprogram_dist" / name).read_bytes()
    assert not (packages / "copied").exists()  # so the documents do not recommend a copy


async def test_the_installed_wheel_runs_the_demo(dist: Path, tmp_path: Path) -> None:
    [wheel] = dist.glob("*.whl")
    assert (await run(sys.executable, "-m", "venv", tmp_path / "venv")).status == 0
    programs = tmp_path / "venv" / "bin"
    installed = await run(programs / "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    if installed.status != 0:
        unavailable(f"pip cannot install the wheel's dependencies: {installed.err}")
    ports = ("--port", "0", "--admin-port", "0", "--oss-port", "0")
    async with (
        launch(programs / "oss-signer", "demo", *ports, cwd=tmp_path) as process,
        aiohttp.ClientSession() as session,
    ):
        assert await process.read_line() == "Example definitions are written to config/"
        page = (await process.read_line()).split()[-1]
        async with session.get(page) as response:
            assert response.status == 200
            scripts = re.findall(r'src="([^"]+\.js)"', await response.text())
        assert scripts
        async with session.get(f"{page.rstrip('/')}{scripts[0]}") as response:
            assert response.status == 200
    assert (tmp_path / "config/oss-signer.yaml").read_bytes() == (ROOT / "config/oss-signer.yaml").read_bytes()
    schema = tmp_path / "config/oss-signer.schema.json"
    assert schema.read_bytes() == (ROOT / "config/oss-signer.schema.json").read_bytes()
    helped = await run(programs / "oss-localcloud", "--help", cwd=tmp_path)
    assert helped.status == 0, helped.err
