"""The upload library: its own tests in Node.js, its types, and the built files compared with their sources."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.harness.local_cloud import local_cloud
from tests.harness.npm import install_packages
from tests.harness.processes import ROOT, run
from tests.harness.signer import signer
from tools.content_types import PYTHON, module

LIBRARY = ROOT / "miniprogram" / "upload"
SAMPLE_COPY = ROOT / "miniprogram" / "sample" / "miniprogram_npm/@oss-signer/upload"
COPIES = {
    ROOT / "signer" / "demo" / "page" / "upload_library.js": "h5-multipart.mjs",
    SAMPLE_COPY / "index.js": "miniprogram_dist/index.js",
    SAMPLE_COPY / "multipart.js": "miniprogram_dist/multipart.js",
}
MAX_BYTES = {
    "miniprogram_dist/index.js": 8000,
    "miniprogram_dist/multipart.js": 12000,
    "h5.mjs": 8000,
    "h5-multipart.mjs": 12000,
    "my.js": 8000,
    "uni.mjs": 9000,
    "uni-multipart.mjs": 14000,
    "taro.mjs": 9000,
    "taro-multipart.mjs": 14000,
}
"""The sizes of the built files: forms only, and with multipart uploads. Those of frameworks contain the code for web pages too."""
BUILT = {name: LIBRARY / name for name in MAX_BYTES}
MIN_COVERAGE = 95.0
APP_ID = "wx00000000000000aa"
WECHAT_SECRET = "5f3d6a1c9b7e4208a1c2d3e4f5a6b7c8"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tools() -> Path:
    """esbuild, terser, TypeScript and WeChat's typings, installed from the lock file."""
    await install_packages(LIBRARY)
    return LIBRARY / "node_modules" / ".bin"


async def test_the_built_files_are_current(tools: Path, tmp_path: Path) -> None:
    result = await run("node", "build.mjs", tmp_path, cwd=LIBRARY)
    assert result.status == 0, result.err
    for name, path in BUILT.items():
        assert path.read_bytes() == (tmp_path / name).read_bytes(), f"{name}: run npm run build in {LIBRARY.name}"
    for copy, name in COPIES.items():
        assert copy.read_bytes() == BUILT[name].read_bytes()


async def test_the_signer_has_the_types_of_the_installed_mime_db(tools: Path) -> None:
    assert PYTHON.read_text(encoding="utf-8") == module(), "run python -m tools.content_types"


@pytest.mark.parametrize("name", BUILT)
def test_the_built_files_are_small(name: str) -> None:
    assert len(BUILT[name].read_bytes()) <= MAX_BYTES[name]


@pytest.mark.parametrize("name", ["miniprogram_dist/index.js", "h5.mjs", "my.js", "uni.mjs", "taro.mjs"])
def test_the_built_files_for_forms_contain_nothing_of_multipart(name: str) -> None:
    assert "multipart/" not in BUILT[name].read_text(encoding="utf-8")


def test_nobody_installs_the_library_by_its_name() -> None:
    """The library is in no registry, where its name could belong to somebody else."""
    package = json.loads((LIBRARY / "package.json").read_text(encoding="utf-8"))
    assert (package["name"], package["private"]) == ("@oss-signer/upload", True)
    documents = [path for pattern in ("README*.md", "docs/*.md", "miniprogram/*/*.md") for path in ROOT.glob(pattern)]
    for document in documents:
        text = document.read_text(encoding="utf-8")
        installed = re.findall(r"\b(?:npm|pnpm|yarn|bun) (?:i|install|add)\b.*", text)
        named = [line for line in installed if "upload" in line or "oss-signer" in line]
        assert not [line for line in named if not re.search(r" \./\S+/oss-signer-upload-[\d.]+\.tgz\b", line)], document
        assert "'oss-upload" not in text, document


@pytest.mark.parametrize("project", ["tsconfig.json", "tsconfig.h5.json"])
async def test_the_declarations_fit_wechats_typings_and_those_of_browsers(tools: Path, project: str) -> None:
    result = await run(tools / "tsc", "--project", Path(__file__).parent / "types" / project)
    assert result.status == 0, result.out


@pytest.mark.parametrize("options", [("nodenext", "nodenext"), ("esnext", "bundler")])
@pytest.mark.parametrize("entry", ["h5", "h5-multipart"])
async def test_the_files_that_the_readme_copies_are_enough(
    tools: Path, tmp_path: Path, entry: str, options: tuple[str, str]
) -> None:
    readme = (LIBRARY / "README.md").read_text(encoding="utf-8")
    [paragraph] = [each for each in readme.split("\n\n") if f"copy `{entry}.mjs`" in each.replace("\n", " ")]
    for name in {f"{entry}.mjs", *re.findall(r"`([\w.-]+\.d\.m?ts)`", paragraph)}:
        shutil.copy(LIBRARY / name, tmp_path)
    page = tmp_path / "page.mts"
    page.write_text(
        f"import {{ createUploader, type UploadResult }} from './{entry}.mjs'\n"
        "const stored: Promise<UploadResult> = createUploader({ endpoint: '', appId: '' }).upload(new Blob([]))\n"
        "export default stored\n",
        encoding="utf-8",
    )
    module_kind, resolution = options
    settings = ("--strict", "--noEmit", "--target", "es2020", "--lib", "es2020,dom", "--module", module_kind)
    result = await run(tools / "tsc", *settings, "--moduleResolution", resolution, page)
    assert result.status == 0, result.out


@pytest.fixture
async def environ(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The addresses of a local cloud and of a signer with an app of each kind, whose callbacks an app's own server receives."""

    async def answer_callback(request: web.Request) -> web.Response:
        if request.path == "/bad":
            return web.Response(status=500)
        return web.json_response({"seen": (await request.post())["object"], "order": (await request.post())["order"]})

    app_server = web.Application()
    app_server.router.add_post("/{path}", answer_callback)
    runner = web.AppRunner(app_server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    own_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
            oss = cloud.oss
            await cloud.create_bucket("photos")
            async with session.put(f"{oss}/-/wechat/apps/{APP_ID}", json={"secret": WECHAT_SECRET}) as response:
                assert response.status == 201
            config = tmp_path / "signer.yaml"
            config.write_text(definitions(f"{oss}/photos", cloud.metadata, cloud.wechat, own_url), encoding="utf-8")
            async with signer(session, config) as running:
                yield {
                    "SIGNER": running.public,
                    "OSS": oss,
                    "WECHAT_APP": APP_ID,
                    "API_KEY": "the shop's app_server key",
                    "FILES": str(tmp_path),
                }
    finally:
        await runner.cleanup()


def definitions(bucket: str, metadata: str, wechat: str, app_server: str) -> str:
    callback = "body: 'bucket=${bucket}&object=${object}&order=${x:order}'"
    key_hash = hashlib.sha256(b"the shop's app_server key").hexdigest()
    return f"""
version: 1
server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0}}
credentials: {{r: {{type: ecs_ram_role, endpoint: "{metadata}"}}}}
defaults: {{key_prefix: '', bucket: photos, region: cn-hangzhou, domain: "{bucket}", credentials: r, max_size: 1MiB, expires: 15m}}
apps:
  free: {{key_prefix: free/}}
  exact: {{key_prefix: exact/, key: "{{uuid}}.{{ext}}", headers: {{x-oss-forbid-overwrite: "true"}}}}
  named: {{key_prefix: named/, key: "{{filename}}"}}
  s201: {{key_prefix: s201/, success_status: 201}}
  s204: {{key_prefix: s204/, success_status: 204}}
  typed: {{key_prefix: typed/, content_types: [image/png, image/jpeg]}}
  pictures: {{key_prefix: pictures/, content_types: [image/*]}}
  nowhere: {{key_prefix: nowhere/, domain: "{bucket}-not"}}
  off: {{enabled: false}}
  notified: {{key_prefix: notified/, callback: {{url: "{app_server}/good", {callback}}}}}
  unnotified: {{key_prefix: unnotified/, callback: {{url: "{app_server}/bad", {callback}}}}}
  users:
    key_prefix: users/
    callers: {{type: wechat, secret: {WECHAT_SECRET}, endpoint: "{wechat}", app_id: {APP_ID}}}
  passing:
    key_prefix: passing/
    key: "{{uuid}}.{{ext}}"
    callers: {{type: wechat, secret: {WECHAT_SECRET}, endpoint: "{wechat}", app_id: {APP_ID}}}
  keyed: {{key_prefix: keyed/, callers: {{type: api_key, keys: {{shop: {key_hash}}}}}}}
"""


async def test_the_library_in_node(tools: Path, environ: dict[str, str]) -> None:
    tests = sorted(str(path) for path in Path(__file__).parent.glob("*.test.mjs"))
    coverage = Path(environ["FILES"]) / "coverage.lcov"
    options = ["--test-concurrency=1", "--test-reporter=spec", "--test-reporter-destination=stdout"]
    has_lcov = int((await run("node", "--version")).out.strip("v").partition(".")[0]) >= 20
    if has_lcov:
        options += ["--experimental-test-coverage", "--test-reporter=lcov", f"--test-reporter-destination={coverage}"]
    ended = await run("node", "--test", *options, *tests, environ=environ)
    text = ended.out + ended.err
    assert ended.status == 0, text
    if not has_lcov:
        pytest.skip("the tests passed; Node.js 18 does not report their coverage")
    covered = line_coverage(coverage.read_text(encoding="utf-8"))
    shares = {name: 100 * hit / found for name, (hit, found) in covered.items()}
    print(f"coverage of lines: {shares}", file=sys.stderr)
    others = re.compile(r"(h5|uni|taro|my|web|media)\b")  # run in a browser, or as built files
    assert {path.name for path in (LIBRARY / "src").iterdir() if not others.match(path.name)} == set(covered), text
    assert min(shares.values()) > MIN_COVERAGE, shares


def line_coverage(lcov: str) -> dict[str, tuple[int, int]]:
    """Return the number of covered lines and of all lines by source file."""
    found: dict[str, tuple[int, int]] = {}
    for record in lcov.split("end_of_record"):
        name = re.search(r"^SF:.*upload/src/(.+)$", record, re.MULTILINE)
        if name is not None:
            lines = dict(re.findall(r"^DA:(\d+),(\d+)$", record, re.MULTILINE))
            found[name[1]] = (sum(count != "0" for count in lines.values()), len(lines))
    return found
