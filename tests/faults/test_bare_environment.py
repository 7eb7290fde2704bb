"""Python without docstrings and assertions, and a locale without characters outside of ASCII."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.harness.files import write
from tests.harness.processes import run
from tests.harness.signer import run_command, signer

pytestmark = pytest.mark.slow

ENVIRONMENTS = {
    "no docstrings": {"PYTHONOPTIMIZE": "2"},
    # Without these variables, Python would use UTF-8 in the C locale.
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
DEFINITIONS = """\
version: 1
server: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}
audit: stdout
credentials: {r: {type: static, access_key_id: LTAI-x, access_key_secret: not-a-secret}}
apps:
  a: {name: 照片, bucket: photos, region: cn-hangzhou, key_prefix: 照片/, credentials: r}
"""


@pytest.fixture(params=[*ENVIRONMENTS])
def environ(request: pytest.FixtureRequest) -> dict[str, str]:
    return ENVIRONMENTS[request.param]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write(path := tmp_path / "照片.yaml", DEFINITIONS)
    return path


@pytest.mark.parametrize("command", ["check", "domains", "pull", "schema", "sign", "serve --help", "--help"])
async def test_commands_print_their_text(command: str, config: Path, environ: dict[str, str]) -> None:
    name, *options = command.split()
    if name == "sign":
        options += ["a", "--filename", "猫\udcff.jpg"]
    if name in ("check", "domains", "pull", "sign"):
        options += ["--config", str(config)]
    completed = await run_command(name, *options, environ=environ)
    assert completed.status == 0, completed.err
    if name in ("pull", "sign"):
        assert "照片/" in completed.out


async def test_the_signer_logs_and_audits(config: Path, environ: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as session, signer(session, config, environ=environ) as running:
        await running.upload_form("a", {"filename": "猫.jpg"})
        assert await running.stop() == 0
    [event] = map(json.loads, running.process.output)
    assert event["key_prefix"] == "照片/"
    assert running.log("stopped")


async def test_what_needs_docstrings_reports_it() -> None:
    for tool in ("configuration_docs", "json_schema", "openapi"):
        completed = await run(sys.executable, "-m", f"tools.{tool}", environ={"PYTHONOPTIMIZE": "2"})
        assert completed.status == 1
        assert completed.err.startswith("the descriptions are docstrings")
