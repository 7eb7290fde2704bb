"""docs/architecture.md describes the code as it is: the floors, the way of an upload, and every file it names."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from signer.api.routes import public_routes
from signer.delivery.receiver import CallbackReceiver
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
MAX_LINES = 300


def test_the_diagram_shows_the_floors_that_lint_checks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [layers] = [each["layers"] for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    [diagram] = re.findall(r"```mermaid\n(.*?)```", DOCUMENT, re.DOTALL)
    floors = sorted(re.findall(r'f(\d+)\["([^"]+)"\]', diagram), key=lambda floor: int(floor[0]))
    assert [label for _, label in floors] == layers
    arrows = re.sub(r"\[.*?\]", "", diagram.replace("flowchart TB", ""))
    order = [name for line in arrows.splitlines() for name in re.findall(r"f(\d+)", line)]
    assert list(dict.fromkeys(order)) == [str(number) for number in range(1, len(layers) + 1)]


def test_every_named_file_exists() -> None:
    for path in re.findall(r"`((?:signer|localcloud|tests|tools|bench)/[\w/.]+)`", DOCUMENT):
        assert (ROOT / path).exists(), path


def way_of_an_upload() -> list[str]:
    """Return the files and folders that the numbered steps name, in order."""
    [steps] = re.findall(r"## The way of an upload\n.*?\n\n(1\. .*?\n)\n", DOCUMENT, re.DOTALL)
    assert re.findall(r"^(\d+)\. ", steps, re.MULTILINE) == [str(number) for number in range(1, 10)]
    return re.findall(r"`(signer/[\w/.]+)`", steps)


def test_no_file_appears_twice_on_the_way_of_an_upload() -> None:
    files = way_of_an_upload()
    assert len(files) == len(set(files))


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
async def test_an_upload_visits_the_files_in_the_documented_order(adapter: str, aiohttp_client: AiohttpClient) -> None:
    visited: dict[str, None] = {}

    def record(frame: FrameType, event: str, _argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT / "signer"):
            visited[path.relative_to(ROOT).as_posix()] = None

    definitions = """
version: 1
credentials: {key: {type: static, access_key_id: LTAI, access_key_secret: secret}}
apps:
  a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: key, rate_limit: {per_caller: 30/m}}
"""
    async with running_service(definitions) as service:
        router = public_routes(service, cast(CallbackReceiver, None))
        client: TestClient[Any, Any] = await aiohttp_client(HttpTestServer(service, router, ADAPTERS[adapter]))
        sys.setprofile(record)
        try:
            response = await client.post("/v1/apps/a/uploads", json={"filename": "cat.jpg"})
        finally:
            sys.setprofile(None)
        assert response.status == 201
    documented = way_of_an_upload()
    order = [step for path in visited for step in documented if path.startswith(step)]
    others = {f"signer/http/{other}.py" for other in ADAPTERS if other != adapter}
    others |= {"signer/limits/redis_limiter.py", "signer/credentials/token_cache.py"}
    assert list(dict.fromkeys(order)) == [step for step in documented if step not in others]


def test_no_module_is_longer_than_a_few_screens() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "signer").rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert not long


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted((ROOT / "signer").rglob("*.py")):
        for name in re.findall(r"^class ([A-Z]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE):
            places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert not {name: found for name, found in places.items() if len(found) > 1}
