"""`http(s)://`: requests, rejected responses, and writing with PUT."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.harness.signer import signer
from tests.harness.waiting import wait_until
from tests.stores.signer_calls import command, definitions, load_error, serves
from tests.stores.store_servers import HttpStoreServer, http_store_server

PASSWORD = "hunter2-secret"


@contextlib.asynccontextmanager
async def http_server(*handlers: tuple[str, web.RouteDef | object]) -> AsyncIterator[str]:
    """Run a server with these handlers, and yield its address."""
    app = web.Application()
    for path, handler in handlers:
        app.router.add_get(path, handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def test_unchanged_documents_are_not_transferred_again(
    session: aiohttp.ClientSession, http: HttpStoreServer
) -> None:
    await http.put(definitions("a"))
    async with signer(session, http.url):

        async def has_polled_twice() -> bool:
            return sum(status == 304 for _, status, _ in http.seen) >= 2

        await wait_until(has_polled_twice)
    assert [status for _, status, _ in http.seen].count(200) == 1


async def test_headers_and_passwords_are_sent_and_not_printed(http: HttpStoreServer) -> None:
    await http.put(definitions("a"))
    url = http.url.replace("http://", f"http://ann:{PASSWORD}@").replace("#", f"?token={PASSWORD}&dataId=x&{PASSWORD}#")
    environ = {"OSS_SIGNER_STORE_HEADERS": f"X-Consul-Token: {PASSWORD}\nAccept: text/yaml\n"}
    result = await command("check", "--config", url, environ=environ)
    assert result.status == 0, result.err
    shown = http.url.partition("#")[0] + "?token=***&dataId=x&***"
    assert result.out.startswith(f"{shown}: 1 app")
    _, _, headers = http.seen[-1]
    assert headers["X-Consul-Token"] == PASSWORD
    assert headers["Accept"] == "text/yaml"
    assert aiohttp.encode_basic_auth("ann", PASSWORD) == headers["Authorization"]
    await http.stop()
    unreachable = await command("check", "--config", url, environ=environ)
    assert unreachable.err == f"{shown}: cannot connect (Connection refused); check the host and port\n"
    assert PASSWORD not in result.out + result.err + unreachable.out


async def test_secrets_are_sent_to_the_configured_server_only(http: HttpStoreServer) -> None:
    """A redirect to another server is followed without them, one within the server with them."""
    await http.put(definitions("a"))

    async def elsewhere(_request: web.Request) -> web.Response:
        raise web.HTTPFound(http.url)

    async def near(request: web.Request) -> web.Response:
        assert request.headers["X-Token"] == PASSWORD
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with http_server(("/near", near), ("/elsewhere", elsewhere)) as url:
        environ = {"OSS_SIGNER_STORE_HEADERS": f"X-Token: {PASSWORD}"}
        address = f"{url}/near".replace("http://", f"http://ann:{PASSWORD}@")
        result = await command("check", "--config", address, environ=environ)
    assert result.status == 0, result.err
    _, _, headers = http.seen[-1]
    assert "X-Token" not in headers
    assert "Authorization" not in headers


async def test_each_failure_has_a_message() -> None:
    async def status(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]))

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"#" * 2**16)
        return response

    async def packed(_request: web.Request) -> web.Response:
        response = web.Response(body=b"#" * (64 * 2**20))
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async def binary(_request: web.Request) -> web.Response:
        return web.Response(body=b"a: \xff")

    async def circle(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/circle")

    async def file(_request: web.Request) -> web.Response:
        raise web.HTTPFound("file:///etc/passwd")

    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"a: ")
        assert request.transport is not None
        request.transport.close()
        return response

    handlers = (endless, packed, binary, circle, file, broken)
    messages = {
        "/status/404": "not found (404); check the path, or push the definitions",
        "/status/403": "access denied (403); set its token in OSS_SIGNER_STORE_HEADERS",
        "/status/500": "the server returned 500; see its log",
        "/endless": "is larger than 16 MiB; use fewer apps, or a directory of files",
        "/packed": "is larger than 16 MiB; use fewer apps, or a directory of files",
        "/binary": "not UTF-8 at byte 3; save it as UTF-8",
        "/circle": "more than 5 redirects; write the final URL",
        "/file": "redirects to file, which is not allowed; write the final URL",
        "/broken": "the response ended early (ClientPayloadError)",
    }
    async with http_server(("/status/{status}", status), *((f"/{each.__name__}", each) for each in handlers)) as url:

        async def check(path: str) -> None:
            assert await load_error(url + path) == f"{url}{path}: {messages[path]}"

        await asyncio.gather(*map(check, messages))
        tls = await load_error(url.replace("http:", "https:"))
        assert tls is not None
        assert "TLS failed; check that its certificate is trusted" in tls
    assert (
        await load_error("http://nobody.invalid/x")
        == "http://nobody.invalid/x: cannot connect (unknown host); check the host and port"
    )


async def test_invalid_urls_and_headers_are_rejected_before_a_request() -> None:
    for url, environ, message in (
        ("http://h/x#pol=5s", "", "http://h/x: unknown option 'pol'; use poll"),
        ("http://h/x#poll=soon", "", "http://h/x: poll: not a duration; write 90s, 15m, 3h or whole seconds"),
        ("http://h/x#poll=0", "", "http://h/x: poll: the interval must be at least 1s"),
        (f"http://ann:{PASSWORD}/2@h/x", "", "http://...: not a URL; write / # ? @ in a password as %2F %23 %3F %40"),
        ("https:///x", "", "https:///x: has no host; write https://HOST/PATH"),
        ("http://h/x", f"A: b\n{PASSWORD}", "OSS_SIGNER_STORE_HEADERS: line 2 is not a header; write 'Name: value'"),
        (f"gopher://{PASSWORD}@h", "", "gopher://...: unknown kind of store; use a path or one of http://, "),
    ):
        error = await load_error(url, {"OSS_SIGNER_STORE_HEADERS": environ})
        assert error is not None
        assert error.removeprefix("--config ").startswith(message)
        assert PASSWORD not in error


async def test_push_does_not_overwrite_a_concurrent_change(http: HttpStoreServer, tmp_path: Path) -> None:
    source = tmp_path / "signer.yaml"
    source.write_text(definitions("a"), encoding="utf-8")
    first = await command("push", "--yes", source, "--config", http.url)
    assert (first.status, http.text) == (0, definitions("a").encode()), first.err
    assert http.seen[-2][2]["If-None-Match"] == "*"
    before = http.etag()
    source.write_text(definitions("a", "b"), encoding="utf-8")
    second = await command("push", "--yes", source, "--config", http.url)
    assert (second.status, http.text) == (0, definitions("a", "b").encode()), second.err
    assert "+ apps.b\n" in second.out
    assert http.seen[-2][2]["If-Match"] == before

    def change() -> None:
        http.text = definitions("c").encode()

    http.before_put = change
    source.write_text(definitions("d"), encoding="utf-8")
    third = await command("push", "--yes", source, "--config", http.url)
    assert third.status == 1
    assert third.err.endswith(": changed meanwhile; pull, compare, and push again (or push --force)\n")
    assert http.text == definitions("c").encode()
    forced = await command("push", "--yes", "--force", source, "--config", http.url)
    assert (forced.status, http.text) == (0, definitions("d").encode()), forced.err


async def test_push_reports_a_server_without_put_or_etags(tmp_path: Path) -> None:
    source = tmp_path / "signer.yaml"
    source.write_text(definitions("a"), encoding="utf-8")
    async with http_store_server(accepts_put=False) as http:
        rejected = await command("push", "--yes", source, "--config", http.url)
        assert rejected.status == 1
        assert "PUT returned 405; write to this server with its own tool" in rejected.err
        assert http.text is None
    async with http_store_server(etags=False) as http:
        await http.put(definitions("b"))
        unsafe = await command("push", "--yes", source, "--config", http.url)
        assert unsafe.status == 1
        assert "the server sends no strong ETag, so a concurrent change would be lost" in unsafe.err
        assert http.text == definitions("b").encode()
        forced = await command("push", "--yes", "--force", source, "--config", http.url)
        assert (forced.status, http.text) == (0, definitions("a").encode()), forced.err


async def test_nacos_and_consul(session: aiohttp.ClientSession) -> None:
    """Their URLs have the key in the query. The servers here are written after their documentation."""
    content = {"text": definitions("a")}

    async def nacos(request: web.Request) -> web.Response:
        if dict(request.query) != {"dataId": "signer.yaml", "group": "DEFAULT_GROUP", "accessToken": "t"}:
            return web.Response(status=404, text="config data not exist")
        return web.Response(text=content["text"], content_type="text/plain", headers={"Content-MD5": "0" * 32})

    async def consul(request: web.Request) -> web.Response:
        if request.query_string != "raw" or request.headers.get("X-Consul-Token") != "t":
            return web.Response(status=403, text="Permission denied")
        return web.Response(text=content["text"], headers={"X-Consul-Index": "7"})

    environ = {"OSS_SIGNER_STORE_HEADERS": "X-Consul-Token: t"}
    async with http_server(("/nacos/v1/cs/configs", nacos), ("/v1/kv/signer", consul)) as url:
        query = "dataId=signer.yaml&group=DEFAULT_GROUP&accessToken=t"
        async with (
            signer(session, f"{url}/nacos/v1/cs/configs?{query}#poll=1s") as first,
            signer(session, f"{url}/v1/kv/signer?raw#poll=1s", environ=environ) as second,
        ):
            content["text"] = definitions("b")
            await wait_until(lambda: serves(first, "b"))
            await wait_until(lambda: serves(second, "b"))
        for running in (first, second):
            reloaded = [json.loads(line) for line in running.output if "definitions reloaded" in line]
            assert [each["changes"] for each in reloaded] == [["- apps.a", "+ apps.b"]]
