"""Each program of docs/uploaders.md uploads, reports progress, is cancelled, and shows why it was refused."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from aiohttp import web

from tests.callers.stub import stub
from tests.harness.processes import launch, run
from tests.harness.waiting import wait_until
from tests.uploaders.place import MAX_BYTES, STALLED_BUCKET, Place, names_by_form, uploading_place
from tests.uploaders.programs import PROGRAMS, Program
from tests.uploaders.recipes import for_app, recipe
from tests.uploaders.table import passed

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

NAME = "照片 é😀 +50%&;=,'.jpg"
FORMS = [each for each in PROGRAMS if "PUT" not in each.title]
CONTENT = Random(20).randbytes(3 * 2**20)
LARGE_BYTES = 24 * 2**20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with uploading_place(tmp_path_factory.mktemp("signer")) as place:
        yield place


@pytest.fixture(params=PROGRAMS, ids=lambda program: program.title)
def program(request: pytest.FixtureRequest) -> Program:
    found: Program = request.param
    return found


async def command(program: Program, app: str, directory: Path) -> list[object]:
    """Return the command that runs the recipe for an app."""
    file = directory / program.file
    file.write_text(for_app(recipe(program.title, program.language), app), encoding="utf-8")
    return await program.command(file)


def reported(errors: str) -> list[float]:
    """Return the numbers of bytes or percents that a program has reported."""
    return [float(each) for each in re.findall(r"(\d+(?:\.\d+)?)(?:%| bytes)(?=\s)", errors)]


async def test_one_file(place: Place, program: Program, tmp_path: Path) -> None:
    (file := tmp_path / NAME).write_bytes(CONTENT)
    done = await run(*await command(program, place.app("photos"), tmp_path), file, cwd=tmp_path)
    assert done.status == 0, done.err
    key = done.out.strip()
    assert re.fullmatch(rf"u/[0-9a-f]{{32}}/\w+-{re.escape(NAME)}", key), key
    assert await place.cloud.content("photos", key) == CONTENT
    progress = reported(done.err)
    assert progress == sorted(progress)
    assert progress[-1] in (100, len(CONTENT)), done.err
    passed(program.title, await program.version(), "1 file", "progress", "Unicode names")


@pytest.mark.parametrize("program", FORMS, ids=lambda program: program.title)
async def test_the_form_has_the_name(place: Place, program: Program, tmp_path: Path) -> None:
    """OSS puts it into keys that end with `${filename}`."""
    (file := tmp_path / NAME).write_bytes(b"content")
    async with names_by_form(place.app("photos"), place.cloud.session) as app:
        done = await run(*await command(program, app, tmp_path), file)
    assert done.status == 0, done.err
    assert await place.cloud.content("photos", done.out.strip()) == b"content"


async def test_the_length_is_sent(program: Program, tmp_path: Path) -> None:
    lengths: list[tuple[str | None, str]] = []

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/uploads"):
            form = {"url": f"{server.url}/b", "fields": {"a": "b"}, "file_field": "file", "key": "k", "headers": {}}
            return web.json_response(form, status=201)
        lengths.append((request.headers.get("Content-Length"), str(len(await request.read()))))
        return web.Response()

    (file := tmp_path / NAME).write_bytes(b"content")
    async with stub(answer) as server:
        done = await run(*await command(program, f"{server.url}/v1/apps/photos", tmp_path), file)
    assert done.status == 0, done.err
    [(declared, received)] = lengths
    assert declared == received


async def test_twenty_files(place: Place, program: Program, tmp_path: Path) -> None:
    contents = {f"{number} 照片.jpg": f"content {number}".encode() for number in range(20)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files = [tmp_path / name for name in contents]
    done = await run(*await command(program, place.app("photos"), tmp_path), *files)
    assert done.status == 0, done.err
    keys = done.out.splitlines()
    assert len(set(keys)) == 20
    for key, (name, content) in zip(keys, contents.items(), strict=True):
        assert key.endswith(f"-{name}")
        assert await place.cloud.content("photos", key) == content
    passed(program.title, await program.version(), "20 files")


async def test_cancel(place: Place, program: Program, tmp_path: Path) -> None:
    (file := tmp_path / "large.jpg").write_bytes(bytes(LARGE_BYTES))
    stalls = place.network.stalls
    async with launch(*await command(program, place.app("stalled"), tmp_path), file) as process:
        await wait_until(lambda: place.network.stalls > stalls or process.returncode is not None)
        assert process.returncode is None, "".join(process.errors)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert await process.wait() != 0
    assert await place.stored(STALLED_BUCKET) == {}
    passed(program.title, await program.version(), "cancel")


async def test_refusals(place: Place, program: Program, tmp_path: Path) -> None:
    (file := tmp_path / "large.jpg").write_bytes(bytes(MAX_BYTES + 1))
    refused = await run(*await command(program, place.app("photos"), tmp_path), file)
    assert refused.status != 0
    assert f"this app allows at most {MAX_BYTES}" in refused.err, refused.err
    (file := tmp_path / "photo.jpg").write_bytes(b"JPEG")
    refused = await run(*await command(program, place.app("refused"), tmp_path), file)
    assert refused.status != 0
    assert "InvalidAccessKeyId" in refused.err + refused.out, refused.err
    passed(program.title, await program.version(), "refusal")
