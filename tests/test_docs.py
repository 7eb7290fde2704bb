"""Every YAML block in the documents is read by the signer, and every command in them is run."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signer.definitions.parser import parse
from tests.callers.signing_keys import private_pem
from tests.harness.local_cloud import local_cloud
from tests.harness.processes import ROOT, launch, run
from tests.harness.signer import LOCAL_ENVIRON, Signer, signer
from tests.harness.waiting import wait_until

DOCUMENTS = ["README.md", "README.zh-CN.md", *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("docs/*.md")))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return [body for found, body in BLOCK.findall(text) if found == language]


def commands() -> list[str]:
    """Each command once, its continued lines joined and its remark cut off. tests/from_zero runs those of its page."""
    found = [
        re.sub(r"\s+# .*", "", line)
        for document in DOCUMENTS
        if not document.startswith("docs/from-zero.")
        for body in blocks(document, "sh")
        for line in body.replace("\\\n", " ").splitlines()
    ]
    return list(dict.fromkeys(found))


HEAD = "version: 1\ncredentials: {r: {type: ecs_ram_role}}\ndefaults: {region: cn-hangzhou, key_prefix: '', bucket: b-1, credentials: r}\n"
ENVIRON = {
    **LOCAL_ENVIRON,
    "WX_SECRET": "w" * 32,
    "ALIPAY_PRIVATE_KEY": private_pem(generate_private_key(public_exponent=65537, key_size=2048)),
    "WECHAT_SECRET": "w" * 32,
    "DOUYIN_SECRET": "d" * 40,
    "JWT_SECRET": "j" * 40,
}


def whole(text: str, files: Path) -> list[str]:
    """A block as whole definitions; a part of some gets the rest, and the files that it names."""
    for path in re.findall(r"\$\{file:([^}]+)\}", text):
        text = text.replace(path, str(files / Path(path).name))
    if "version:" in text:
        return [text]
    if not text.startswith("callers:"):
        return [HEAD + text]
    return [
        f"{HEAD}apps:\n  a:\n    key_prefix: '{{caller}}/'\n{textwrap.indent(part, '    ')}"
        for part in re.split(r"^(?=callers:)", text, flags=re.MULTILINE)
        if part
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the documents keep under /etc and /run."""
    directory = tmp_path_factory.mktemp("files")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    (directory / "login.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (directory / "notify").write_text("n" * 32, encoding="ascii")
    (directory / "admin-token").write_text("a" * 32, encoding="ascii")
    (directory / "wx-secret").write_text("w" * 32, encoding="ascii")
    return directory


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_yaml_block_is_read(document: str, files: Path) -> None:
    for number, text in enumerate(blocks(document, "yaml"), 1):
        for each in whole(text, files):
            assert parse({f"{document} block {number}": each}, ENVIRON).apps


def test_every_link_and_picture_is_there() -> None:
    for document in [*DOCUMENTS, "CONTRIBUTING.md"]:
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert ((ROOT / document).parent / target).exists(), f"{document}: {target}"


def anchors(document: Path) -> set[str]:
    """Return the anchors of the headings, made as GitHub makes them."""
    text = re.sub(r"^ *```.*?^ *```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", [*DOCUMENTS, "CONTRIBUTING.md"])
def test_every_link_to_a_section_leads_to_one(document: str) -> None:
    path = ROOT / document
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", path.read_text(encoding="utf-8")):
        linked = path.parent / target if target else path
        assert anchor in anchors(linked), f"{document}: {target}#{anchor}"


@dataclass
class Place:
    """Where the commands run: a signer on the example's definitions; its addresses and files replace the documents'."""

    running: Signer
    config: Path
    directory: Path

    def put_in(self, command: str) -> str:
        for written, real in {
            "http://127.0.0.1:5000": self.running.public,
            "http://127.0.0.1:9180": self.running.admin,
            "--config config": f"--config {self.config}",
            "/etc/oss-signer/signer.yaml": str(self.config),
            "/opt/oss-signer": str(self.directory),
        }.items():
            command = command.replace(written, real)
        command = re.sub(r"^oss-signer ", f"{sys.executable} run.py ", command)
        command = re.sub(r"^oss-localcloud ", f"{sys.executable} -m localcloud ", command)
        return re.sub(r"^make ", "make -n ", command)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        text = (ROOT / "config/oss-signer.yaml").read_text(encoding="utf-8")
        text = re.sub("type: ecs_ram_role", f"type: ecs_ram_role\n    endpoint: {cloud.metadata}", text)
        text = re.sub("type: assume_role", f"type: assume_role\n    endpoint: {cloud.sts}", text)
        config = tmp_path / "signer.yaml"
        listen = '  listen: "127.0.0.1:0"\n  admin: "127.0.0.1:0"'
        config.write_text(text.replace("\nserver:", f"\nserver:\n{listen}"), encoding="utf-8")
        async with signer(session, config) as running:
            yield Place(running, config, tmp_path)


async def test_every_command_runs(place: Place) -> None:
    found = commands()
    assert {"make demo", "make test"} <= set(found)
    for written in found:
        command = place.put_in(written)
        if " serve " in command:
            await _serves(command)
            continue
        ended = await run("sh", "-c", command, environ=LOCAL_ENVIRON)
        assert ended.status == 0, f"{written}: {ended.out}{ended.err}"
        if written.startswith("curl"):
            assert '"code"' not in ended.out, ended.out


async def _serves(command: str) -> None:
    async with launch(*command.split(), environ=LOCAL_ENVIRON) as process:
        await wait_until(lambda: process.returncode is not None or any('"ready"' in line for line in process.errors))
        assert await process.stop() == 0, "".join(process.errors)
