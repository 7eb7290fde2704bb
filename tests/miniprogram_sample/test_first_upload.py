"""The first upload works: README's YAML and code word for word, and Alibaba's documented page with and without changes."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from signer.definitions.parser import parse
from signer.definitions.warnings import find_warnings
from tests.harness.demo import Demo, demo
from tests.harness.local_cloud import local_cloud
from tests.harness.npm import install_packages
from tests.harness.processes import ROOT
from tests.harness.signer import entries, signer
from tests.harness.waiting import wait_until
from tests.miniprogram_sample.simulated import HERE, next_report, node, project

README_ENDPOINT = "https://signer.example.com"
APP = "wx1234567890abcdef"
PHOTO = "海边 1.png"
README_CHANGES = (
    ("generate_signature`", "generate_signature?filename=${encodeURIComponent(key)}`"),
    ("url: bucket,", "url: data.host,"),
    ("            key,\n", "            key: data.key_prefix + key,\n"),
    ("success_action_status: '200',", "success_action_status: '200',\n            ...data.fields,"),
)
"""The four changes that README describes, applied to the documented page."""


def blocks(document: str, language: str) -> list[str]:
    """Return the code blocks of a document in this language."""
    text = (ROOT / document).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def block(document: str, language: str) -> str:
    """Return the first of them."""
    return blocks(document, language)[0]


def write(directory: Path, name: str, content: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


async def run_readme_code(directory: Path, signer_url: str, app_ids: list[str]) -> list[Any]:
    """Upload the photo with README's code for each app, and return the responses of OSS."""
    parameters = {
        "code": block("README.md", "js"),
        "files": str(directory),
        "file": PHOTO,
        "appIds": app_ids,
        "routes": {README_ENDPOINT: int(signer_url.rstrip("/").rpartition(":")[2])},
    }
    async with node("readme_run.cjs", parameters) as run:
        responses: list[Any] = await next_report(run)
    return responses


async def run_documented_page(
    directory: Path, running: Demo, bucket: str, *, changes: tuple[tuple[str, str], ...], app_id: str = APP
) -> str:
    """Upload the photo with the documented page, and return what it shows."""
    addresses = {"signer": running.page.rstrip("/"), "bucket": f"{running.oss}/{bucket}"}
    page = project(directory, addresses, HERE / "documented")
    script = page / "pages/index/index.js"
    text = script.read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    script.write_text(text, "utf-8")
    parameters = {"project": str(page), "files": str(directory), "appId": app_id, "file": PHOTO}
    async with node("documented_run.cjs", parameters) as run:
        shown: str = await next_report(run)
    return shown


async def objects(running: Demo, bucket: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a bucket, by key."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{running.oss}/-/objects", params={"bucket": bucket}) as response,
    ):
        return {each["key"]: each for each in await response.json()}


@pytest.fixture
async def photo(tmp_path: Path) -> bytes:
    await install_packages(HERE)
    content = os.urandom(50_000)
    write(tmp_path, PHOTO, content)
    return content


async def test_readmes_code_uploads_to_readmes_first_app(tmp_path: Path, photo: bytes) -> None:
    config = write(tmp_path, "signer.yaml", block("README.md", "yaml"))
    async with demo("--config", str(config)) as running:
        assert await run_readme_code(tmp_path, running.page, [APP]) == [[200, ""]]
        stored = await objects(running, "photos-prod")
    now = datetime.now(UTC)
    assert {key: each["size_bytes"] for key, each in stored.items()} == {f"photos/{now:%Y/%m}/{PHOTO}": len(photo)}


@pytest.mark.usefixtures("photo")
async def test_readmes_code_works_with_any_app(tmp_path: Path) -> None:
    apps: dict[str, tuple[str, dict[str, Any]]] = {
        "plain": ("", {}),
        "typed": ("content_types: [image/jpeg, image/png]", {"content_type": "image/png"}),
        "pinned": (
            "headers: {x-oss-object-acl: private, X-Oss-Storage-Class: IA}",
            {"acl": "private", "storage_class": "IA"},
        ),
        "conditions": ("conditions: [[eq, $x-oss-meta-team, a]]", {"headers": {"x-oss-meta-team": "a"}}),
        "named": ('key: "{uuid}.{ext}"', {}),
        "reported": ('callback: {url: "http://127.0.0.1:1/", body: "key=${object}"}', {}),
    }
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        await cloud.create_bucket("photos")
        lines = [
            'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}',
            f'credentials: {{r: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}',
            f'defaults: {{bucket: photos, domain: "{cloud.oss}/photos", region: cn-hangzhou, credentials: r}}\napps:',
            *(f"  {name}:\n    key_prefix: {name}/\n    {rules}" for name, (rules, _) in apps.items()),
        ]
        config = write(tmp_path, "signer.yaml", "\n".join(lines))
        async with signer(session, config) as running:
            responses = await run_readme_code(tmp_path, running.public, list(apps))
        stored = {each["key"].partition("/")[0]: each for each in await cloud.objects("photos")}
    # The server that OSS reports to does not exist, so it reports a failure of the callback.
    assert [status for status, _ in responses] == [203 if name == "reported" else 200 for name in apps], responses
    assert stored.keys() == apps.keys()
    for name, (_, expected) in apps.items():
        assert expected.items() <= stored[name].items(), name
        assert stored[name]["key"] == f"{name}/{PHOTO}" or name == "named"
    assert re.fullmatch(r"named/[0-9a-f]{32}\.png", stored["named"]["key"])


@pytest.mark.parametrize(
    ("arguments", "bucket"), [(["--config", "signer.yaml"], "photos-prod"), ([], "photos-demo")], ids=["README", "demo"]
)
async def test_the_documented_page_with_readmes_changes(
    arguments: list[str], bucket: str, tmp_path: Path, photo: bytes
) -> None:
    config = write(tmp_path, "signer.yaml", block("README.md", "yaml"))
    async with demo(*(str(config) if each == "signer.yaml" else each for each in arguments)) as running:
        assert await run_documented_page(tmp_path, running, "no-bucket", changes=README_CHANGES) == "上传成功"
        stored = await objects(running, bucket)
    assert {key: each["size_bytes"] for key, each in stored.items()} == {
        f"photos/{datetime.now(UTC):%Y/%m}/filename.txt": len(photo)
    }


@pytest.mark.parametrize("document", ["docs/miniprogram.md", "docs/miniprogram.zh-CN.md"])
async def test_the_unchanged_page_with_the_definitions_of_the_document(
    document: str, tmp_path: Path, photo: bytes
) -> None:
    # Other blocks belong to recipes.
    [text] = [each for each in blocks(document, "yaml") if 'key_prefix: ""' in each]
    warnings = [str(each) for each in find_warnings(parse({"signer.yaml": text}, {}))]
    assert [each for each in warnings if "clients can overwrite any object of the bucket" in each]
    config = write(tmp_path, "signer.yaml", text)
    async with demo("--config", str(config)) as running:
        assert await run_documented_page(tmp_path, running, "photos-trial", changes=()) == "上传成功"
        stored = await objects(running, "photos-trial")
    assert {key: each["size_bytes"] for key, each in stored.items()} == {"filename.txt": len(photo)}


@pytest.mark.usefixtures("photo")
async def test_an_unknown_app_gets_the_default_app_of_the_demo(tmp_path: Path) -> None:
    unknown = "wx00000000000000dd"
    async with demo() as running:
        shown = await run_documented_page(tmp_path, running, "no-bucket", changes=README_CHANGES, app_id=unknown)
        assert shown == "上传成功"
        assert len(await objects(running, "photos-demo")) == 1
        await wait_until(lambda: any(unknown in line for line in running.process.errors))
        logged = [each for each in entries(running.process.errors) if each.get("app") == unknown]
    assert [(each["message"], each["default_app"]) for each in logged] == [
        ("unknown app replaced by the default app", APP)
    ]
