"""No output contains a password of a store's URL or a header from the environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.harness.signer import run_command, signer
from tests.stores.signer_calls import definitions
from tests.stores.store_servers import RedisStoreServer, http_store_server, redis_store_server

SECRET = "hunter2-secret"


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisStoreServer]:
    async with redis_store_server(tmp_path / "redis", password=SECRET) as place:
        yield place


async def test_commands_print_no_secrets(redis: RedisStoreServer, tmp_path: Path) -> None:
    source = tmp_path / "signer.yaml"
    source.write_text(definitions("a"), encoding="utf-8")
    environ = {"OSS_SIGNER_CONFIG": redis.url, "OSS_SIGNER_STORE_HEADERS": f"X-Token: {SECRET}"}

    async def outputs(status: int, *commands: tuple[object, ...]) -> list[str]:
        results = await asyncio.gather(*(run_command(*command, environ=environ) for command in commands))
        assert {result.status for result in results} == {status}
        return [result.out + result.err for result in results]

    good = await outputs(0, ("push", source), ("serve", "--help"))
    good += await outputs(0, ("pull",), ("check", "--json"), ("sign", "a", "--filename", "a.jpg"))
    await redis.put("version: 2\n")
    broken = await outputs(1, ("serve",), ("push", "--force", source.with_name("none.yaml")))
    assert redis.location in broken[0]
    await redis.stop()
    unreachable = await outputs(1, ("check", "--json"), ("push", source), ("serve",))
    assert all(redis.location in text for text in unreachable)
    assert SECRET not in "".join(good + broken + unreachable)


async def test_pages_logs_and_copies_contain_no_secrets(
    redis: RedisStoreServer, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    async with http_store_server() as http:
        await http.put(definitions("a"))
        await redis.put(definitions("a"))
        environ = {"OSS_SIGNER_STORE_HEADERS": f"X-Token: {SECRET}", "STATE_DIRECTORY": str(state)}
        pages = []
        for url, place in ((redis.url, redis), (http.url.replace("://", f"://u:{SECRET}@"), http)):
            for _ in ("with the store", "from the copy"):
                async with signer(session, url, environ=environ) as running:
                    await place.stop()
                    assert (await running.reload())[0] == 503
                    assert await running.is_ready()
                    for path in ("/status", "/metrics", "/readyz", "/-/definitions", "/healthz"):
                        async with session.get(running.admin + path) as answer:
                            pages.append(await answer.text())
                pages += running.output
            await place.start()
        pages += [copy.read_text(encoding="utf-8") for copy in state.iterdir()]
    assert len(list(state.iterdir())) == 2
    assert SECRET not in "".join(pages)


async def test_an_error_that_quotes_the_password_is_not_printed() -> None:
    """An old Redis quotes the arguments of an unknown command in its error."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(b"-ERR unknown command with args beginning with: " + data.replace(b"\r\n", b" ") + b"\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await run_command("check", "--config", f"redis://ann:{SECRET}@127.0.0.1:{port}/0")
    assert result.status == 1
    assert result.err.startswith(f"redis://127.0.0.1:{port}/0?key=oss-signer: ")
    assert SECRET not in result.err


async def test_an_edit_of_the_store_cannot_show_clients_what_the_machine_holds(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
    environ = {"MACHINE_SECRET": SECRET, "OSS_SIGNER_ALLOW_ENV": "KEY_SECRET WX_*", "WX_SECRET": SECRET}
    async with http_store_server() as http:
        await http.put(definitions("a"))
        async with signer(session, http.url, environ=environ) as running:
            for reference in (f"file:{tmp_path}/secret", "file:/etc/hostname", "MACHINE_SECRET", "WX_SECRET"):
                header = f"defaults: {{headers: {{x-oss-meta-a: '${{{reference}}}'}}, "
                await http.put(definitions("a").replace("defaults: {", header))
                status, body = await running.reload()
                assert status == 422, body
                assert "--allow-" in str(body) or "write the value itself" in str(body)
                assert SECRET not in str(body)
            async with session.post(f"{running.public}/v1/apps/a/uploads", json={}) as answer:
                assert answer.status == 201
                assert SECRET not in await answer.text()
        assert SECRET not in "".join(running.output)
