"""A store from another package: the example in docs/stores.md, installed like a package."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

import aiohttp
import pytest

from tests.harness.processes import ROOT
from tests.harness.signer import run_command, signer
from tests.stores.signer_calls import definitions, serves


def documented(language: str) -> str:
    text = (ROOT / "docs/stores.md").read_text(encoding="utf-8")
    [body] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(body)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Install the example as a package, and return the environment in which Python finds it."""
    site = tmp_path / "site"
    information = site / "sqlite_store-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "sqlite_store.py").write_text(documented("python"), encoding="utf-8")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: sqlite-store\nVersion: 1.0\n", encoding="utf-8")
    [scheme, value] = re.findall(r"^(\w+) = \"(.*)\"$", documented("toml"), re.MULTILINE)[0]
    (information / "entry_points.txt").write_text(f"[oss_signer.stores]\n{scheme} = {value}\n", encoding="utf-8")
    return {"PYTHONPATH": str(site)}


def write(database: Path, text: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS definitions (text)")
        connection.execute("DELETE FROM definitions")
        connection.execute("INSERT INTO definitions VALUES (?)", [text])


async def test_the_documented_store_works(
    tmp_path: Path, environ: dict[str, str], session: aiohttp.ClientSession
) -> None:
    database = tmp_path / "signer.db"
    url = f"sqlite://{database}"
    missing = await run_command("check", "--config", url, environ=environ)
    assert (missing.status, missing.err) == (1, f"{url}: unable to open database file\n")
    write(database, definitions("a"))
    checked = await run_command("check", "--config", url, environ=environ)
    assert checked.status == 0, checked.err
    assert checked.out.startswith(f"{url}: 1 app")
    pulled = await run_command("pull", "--config", url, environ=environ)
    assert pulled.out == definitions("a")
    pushed = await run_command("push", "config/oss-signer.yaml", "--config", url, environ={**environ, **_VALUES})
    assert pushed.err.endswith("push cannot write to this kind of store; change it with its own tool\n")
    async with signer(session, url, environ=environ) as running:
        write(database, definitions("b"))
        assert (await running.reload())[0] == 200
        assert await serves(running, "b")


_VALUES = {
    "OSS_ACCESS_KEY_ID": "x",
    "OSS_ACCESS_KEY_SECRET": "x",
    "OSS_STS_ROLE_ARN": "acs:ram::1234567890123456:role/x",
    "SIGNER_SECRET": "the-secret-of-the-tests-for-multipart-uploads",
    "OSS_SIGNER_ALLOW_ENV": "OSS_* SIGNER_SECRET",
}


def test_the_documented_store_has_twenty_lines() -> None:
    assert len([line for line in documented("python").splitlines() if line.strip()]) <= 20


async def test_a_package_that_cannot_be_imported_is_reported(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "site" / "sqlite_store.py").write_text("import nowhere_at_all\n", encoding="utf-8")
    result = await run_command("check", "--config", "sqlite:///x", environ=environ)
    assert result.status == 1
    assert result.err.startswith("--config sqlite://...: 'sqlite' (oss_signer.stores) cannot be loaded: ")
    unknown = await run_command("check", "--config", "etcd://x", environ=environ)
    assert "unknown kind of store; use a path or one of http://, https://, oss://, redis://, " in unknown.err
    assert ", rediss+sentinel://, sqlite://, unix://" in unknown.err
