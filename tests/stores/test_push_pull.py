"""`push` and `pull` with files, and with a store that holds a single text."""

from __future__ import annotations

import stat
from pathlib import Path

import aiohttp
import pytest

from signer.atomic_write import lock_directory
from signer.stores.file import FileStore
from signer.stores.protocol import RevisionConflict
from tests.harness.signer import signer
from tests.harness.waiting import wait_until
from tests.stores.signer_calls import command, definitions, serves
from tests.stores.store_servers import HttpStoreServer, StoreFile


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "pushed.yaml"
    path.write_text(definitions("a"), encoding="utf-8")
    return path


async def test_push_prints_mistakes_like_check_and_writes_nothing(http: HttpStoreServer, source: Path) -> None:
    source.write_text(definitions("a").replace("bucket", "bukket"), encoding="utf-8")
    pushed = await command("push", "--yes", source, "--config", http.url)
    checked = await command("check", "--config", source)
    assert pushed.status == 1
    assert (pushed.out, pushed.err) == (checked.out, checked.err)
    assert http.text is None
    assert http.seen == []


async def test_push_prints_warnings_and_changes(file: StoreFile, source: Path) -> None:
    await file.put(definitions("a", "b"))
    source.write_text(definitions("a", "c").replace("cn-hangzhou", "cn-shanghai"), encoding="utf-8")
    result = await command("push", "--yes", source, "--config", file.url)
    assert result.status == 0, result.err
    *changes, pushed = result.out.splitlines()
    assert changes == ["~ apps.a: region cn-hangzhou -> cn-shanghai", "- apps.b", "+ apps.c"]
    assert pushed.startswith(f"{file.url}: pushed, revision ")
    assert "warning" in result.err
    assert file.path.read_bytes() == source.read_bytes()
    again = await command("push", "--yes", source, "--config", file.url)
    assert (again.status, again.out) == (0, f"{file.url}: already has these definitions; nothing to push\n")
    source.write_text(source.read_text(encoding="utf-8") + "# a remark\n", encoding="utf-8")
    remark = await command("push", "--yes", source, "--config", file.url)
    assert remark.out.splitlines()[0] == "no setting changes, only the text"


async def test_push_removes_apps_only_if_that_is_confirmed(file: StoreFile, source: Path) -> None:
    await file.put(before := definitions("a", "b"))
    refused = await command("push", source, "--config", file.url)
    assert refused.status == 1
    assert refused.err.endswith("not pushed: this removes 1 app (b); repeat with --yes\n")
    shown = await command("push", "--dry-run", source, "--config", file.url)
    assert (shown.status, shown.out) == (0, "- apps.b\n")
    assert file.path.read_text(encoding="utf-8") == before
    assert (await command("push", "--yes", source, "--config", file.url)).status == 0
    assert file.path.read_bytes() == source.read_bytes()


async def test_push_needs_a_store(source: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        await command("push", source)


async def test_push_replaces_invalid_definitions(file: StoreFile, source: Path) -> None:
    await file.put("version: 2\n")
    result = await command("push", "--yes", source, "--config", file.url)
    assert result.status == 0, result.err
    assert result.out.startswith(f"the definitions in the store have mistakes, for example {file.url}:1:")
    file.path.write_bytes(b"\xff")
    rejected = await command("push", "--yes", source, "--config", file.url)
    assert (rejected.status, "not UTF-8" in rejected.err) == (1, True)
    forced = await command("push", "--yes", "--force", source, "--config", file.url)
    assert forced.status == 0, forced.err
    assert file.path.read_bytes() == source.read_bytes()


async def test_a_file_keeps_its_mode_and_its_link(tmp_path: Path, source: Path) -> None:
    real = tmp_path / "real" / "signer.yaml"
    real.parent.mkdir()
    real.write_text(definitions("z"), encoding="utf-8")
    real.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(real)
    result = await command("push", "--yes", source, "--config", link)
    assert result.status == 0, result.err
    assert link.is_symlink()
    assert real.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    new = await command("push", "--yes", source, "--config", real.with_name("new.yaml"))
    assert new.status == 0, new.err
    assert new.out.startswith("+ everything; apps: 1\n")
    assert sorted(each.name for each in real.parent.iterdir()) == ["new.yaml", "signer.yaml"]


async def test_a_store_that_cannot_be_written_is_reported_with_a_fix(tmp_path: Path, source: Path) -> None:
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "a.yaml").write_text(definitions("z"), encoding="utf-8")
    rejected = await command("push", "--yes", source, "--config", directory)
    assert rejected.status == 1
    assert rejected.err.splitlines()[-1] == (
        f"{directory}: is a directory; name a file in it: --config {directory}/NAME.yaml"
    )
    missing = await command("push", "--yes", source, "--config", tmp_path / "none" / "a.yaml")
    assert missing.status == 1
    assert missing.err.splitlines()[-1] == f"{tmp_path}/none: No such file or directory; check its path and permissions"
    oss = await command(
        "push", "--force", source, "--config", "oss://b/k?region=cn-hangzhou&metadata=http://127.0.0.1:1"
    )
    assert oss.status == 1
    assert "oss://b/k: push cannot write to this kind of store; change it with its own tool" in oss.err


async def test_a_concurrent_change_of_a_file_is_not_overwritten(file: StoreFile) -> None:
    await file.put(definitions("a"))
    one, two = FileStore(file.path), FileStore(file.path)
    revision = (await one.load()).revision
    assert revision == (await two.load()).revision
    await one.save(definitions("b"), revision)
    with pytest.raises(RevisionConflict):
        await two.save(definitions("c"), revision)
    assert file.path.read_text(encoding="utf-8") == definitions("b")


async def test_a_file_that_another_process_writes_is_not_written(file: StoreFile, source: Path) -> None:
    await file.put(definitions("b"))
    with lock_directory(file.path.parent):
        result = await command("push", "--yes", source, "--config", file.url)
    assert result.status == 1
    assert result.err.splitlines()[-1] == f"{file.url}: another process is writing it; try again"


async def test_a_directory_is_stored_as_one_text(
    http: HttpStoreServer, session: aiohttp.ClientSession, tmp_path: Path, source: Path
) -> None:
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "b.yaml").write_text("# the second\napps: {b: {key_prefix: '', bucket: photos}}", encoding="utf-8")
    (directory / "a.yaml").write_text(definitions("a"), encoding="utf-8")
    pushed = await command("push", directory, "--config", http.url)
    assert pushed.status == 0, pushed.err
    pulled = await command("pull", "--config", http.url)
    text = f"# file: a.yaml\n{definitions('a')}# file: b.yaml\n# the second\napps: {{b: {{key_prefix: '', bucket: photos}}}}\n"
    assert (pulled.out, http.text) == (text, text.encode())
    assert (await command("pull", "--config", directory)).out == text
    source.write_text(text, encoding="utf-8")
    again = await command("push", "--yes", source, "--config", http.url)
    assert again.out.endswith("already has these definitions; nothing to push\n"), again
    async with signer(session, http.url) as running:
        assert await serves(running, "a")
        assert await serves(running, "b")
        await http.put(text.replace("bucket: photos}}", "bukket: photos}}"))

        async def is_rejected() -> bool:
            return bool((await running.last_reload())["mistakes"])

        await wait_until(is_rejected)
        [mistake, *_] = (await running.last_reload())["mistakes"]
        assert mistake["file"].endswith("/signer.yaml#b.yaml")
        assert mistake["line"] == 2


async def test_comments_that_look_like_headings_are_rejected(http: HttpStoreServer, tmp_path: Path) -> None:
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "a.yaml").write_text(definitions("a") + "# file: old.yaml\n", encoding="utf-8")
    (directory / "b.yaml").write_text("apps: {b: {key_prefix: '', bucket: photos}}\n", encoding="utf-8")
    result = await command("push", directory, "--config", http.url)
    assert result.status == 1
    assert "a.yaml: contains a line '# file: ...', which starts a new file" in result.err
    single = await command("push", directory / "a.yaml", "--config", http.url)
    assert single.status == 0, single.err
    assert (await command("check", "--config", http.url)).status == 0
    await http.put("# file: a.yaml\na: 1\n# file: a.yaml\nb: 1\n")
    twice = await command("check", "--config", http.url)
    assert "two files are called 'a.yaml'" in twice.err
