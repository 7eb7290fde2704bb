"""`http(s)://`: what is sent, what is refused, and how it is written."""

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
from tests.stores.places import HttpPlace, http_place
from tests.stores.processes import command, definitions, serves, why_not

PASSWORD = "hunter2-secret"


@contextlib.asynccontextmanager
async def answering(*handlers: tuple[str, web.RouteDef | object]) -> AsyncIterator[str]:
    """A server of these paths; its address."""
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


async def test_etags_save_the_body(session: aiohttp.ClientSession, http: HttpPlace) -> None:
    await http.put(definitions("a"))
    async with signer(session, http.url):

        async def looked_twice() -> bool:
            return sum(status == 304 for _, status, _ in http.seen) >= 2

        await wait_until(looked_twice)
    assert [status for _, status, _ in http.seen].count(200) == 1


async def test_headers_and_passwords_are_sent_and_never_shown(http: HttpPlace) -> None:
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
    await http.go_away()
    away = await command("check", "--config", url, environ=environ)
    assert away.err == f"{shown}: cannot connect (Connection refused); check the host and port\n"
    assert PASSWORD not in result.out + result.err + away.out


async def test_secrets_go_to_the_named_server_alone(http: HttpPlace) -> None:
    """A redirect to another server is followed without them; within the same server with them."""
    await http.put(definitions("a"))

    async def elsewhere(_request: web.Request) -> web.Response:
        raise web.HTTPFound(http.url)

    async def near(request: web.Request) -> web.Response:
        assert request.headers["X-Token"] == PASSWORD
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with answering(("/near", near), ("/elsewhere", elsewhere)) as url:
        environ = {"OSS_SIGNER_STORE_HEADERS": f"X-Token: {PASSWORD}"}
        address = f"{url}/near".replace("http://", f"http://ann:{PASSWORD}@")
        result = await command("check", "--config", address, environ=environ)
    assert result.status == 0, result.err
    _, _, headers = http.seen[-1]
    assert "X-Token" not in headers
    assert "Authorization" not in headers


async def test_each_failure_has_its_words() -> None:
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
    said = {
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
    async with answering(("/status/{status}", status), *((f"/{each.__name__}", each) for each in handlers)) as url:

        async def told(path: str) -> None:
            assert await why_not(url + path) == f"{url}{path}: {said[path]}"

        await asyncio.gather(*map(told, said))
        tls = await why_not(url.replace("http:", "https:"))
        assert tls is not None
        assert "TLS failed; check that its certificate is trusted" in tls
    assert (
        await why_not("http://nobody.invalid/x")
        == "http://nobody.invalid/x: cannot connect (unknown host); check the host and port"
    )


async def test_what_cannot_be_used_is_told_before_anything_is_sent() -> None:
    for url, environ, said in (
        ("http://h/x#pol=5s", "", "http://h/x: unknown option 'pol'; use poll"),
        ("http://h/x#poll=soon", "", "http://h/x: poll: not a duration; write 90s, 15m, 3h or whole seconds"),
        ("http://h/x#poll=0", "", "http://h/x: poll: the interval must be at least 1s"),
        (f"http://ann:{PASSWORD}/2@h/x", "", "http://...: not a URL; write / # ? @ in a password as %2F %23 %3F %40"),
        ("https:///x", "", "https:///x: has no host; write https://HOST/PATH"),
        ("http://h/x", f"A: b\n{PASSWORD}", "OSS_SIGNER_STORE_HEADERS: line 2 is not a header; write 'Name: value'"),
        (f"gopher://{PASSWORD}@h", "", "gopher://...: unknown kind of store; use a path or one of http://, "),
    ):
        told = await why_not(url, {"OSS_SIGNER_STORE_HEADERS": environ})
        assert told is not None
        assert told.removeprefix("--config ").startswith(said)
        assert PASSWORD not in told


async def test_push_writes_by_put_what_nobody_has_changed(http: HttpPlace, tmp_path: Path) -> None:
    source = tmp_path / "signer.yaml"
    source.write_text(definitions("a"), encoding="utf-8")
    first = await command("push", source, "--config", http.url)
    assert (first.status, http.text) == (0, definitions("a").encode()), first.err
    assert http.seen[-2][2]["If-None-Match"] == "*"
    before = http.etag()
    source.write_text(definitions("a", "b"), encoding="utf-8")
    second = await command("push", source, "--config", http.url)
    assert (second.status, http.text) == (0, definitions("a", "b").encode()), second.err
    assert "+ apps.b\n" in second.out
    assert http.seen[-2][2]["If-Match"] == before

    def meanwhile() -> None:
        http.text = definitions("c").encode()

    http.before_put = meanwhile
    source.write_text(definitions("d"), encoding="utf-8")
    third = await command("push", source, "--config", http.url)
    assert third.status == 1
    assert third.err.endswith(": changed meanwhile; pull, compare, and push again (or push --force)\n")
    assert http.text == definitions("c").encode()
    forced = await command("push", "--force", source, "--config", http.url)
    assert (forced.status, http.text) == (0, definitions("d").encode()), forced.err


async def test_a_server_that_cannot_be_written_safely_is_told(tmp_path: Path) -> None:
    source = tmp_path / "signer.yaml"
    source.write_text(definitions("a"), encoding="utf-8")
    async with http_place(takes_put=False) as http:
        refused = await command("push", source, "--config", http.url)
        assert refused.status == 1
        assert "PUT returned 405; write to this server with its own tool" in refused.err
        assert http.text is None
    async with http_place(etags=False) as http:
        await http.put(definitions("b"))
        unsafe = await command("push", source, "--config", http.url)
        assert unsafe.status == 1
        assert "the server sends no strong ETag, so a concurrent change would be lost" in unsafe.err
        assert http.text == definitions("b").encode()
        forced = await command("push", "--force", source, "--config", http.url)
        assert (forced.status, http.text) == (0, definitions("a").encode()), forced.err


async def test_nacos_and_consul_are_such_servers(session: aiohttp.ClientSession) -> None:
    """Their addresses carry the key in the query; what answers here is built from their documents."""
    held = {"text": definitions("a")}

    async def nacos(request: web.Request) -> web.Response:
        if dict(request.query) != {"dataId": "signer.yaml", "group": "DEFAULT_GROUP", "accessToken": "t"}:
            return web.Response(status=404, text="config data not exist")
        return web.Response(text=held["text"], content_type="text/plain", headers={"Content-MD5": "0" * 32})

    async def consul(request: web.Request) -> web.Response:
        if request.query_string != "raw" or request.headers.get("X-Consul-Token") != "t":
            return web.Response(status=403, text="Permission denied")
        return web.Response(text=held["text"], headers={"X-Consul-Index": "7"})

    environ = {"OSS_SIGNER_STORE_HEADERS": "X-Consul-Token: t"}
    async with answering(("/nacos/v1/cs/configs", nacos), ("/v1/kv/signer", consul)) as url:
        query = "dataId=signer.yaml&group=DEFAULT_GROUP&accessToken=t"
        async with (
            signer(session, f"{url}/nacos/v1/cs/configs?{query}#poll=1s") as first,
            signer(session, f"{url}/v1/kv/signer?raw#poll=1s", environ=environ) as second,
        ):
            held["text"] = definitions("b")
            await wait_until(lambda: serves(first, "b"))
            await wait_until(lambda: serves(second, "b"))
        for running in (first, second):
            reloaded = [json.loads(line) for line in running.output if "definitions reloaded" in line]
            assert [each["changes"] for each in reloaded] == [["- apps.a", "+ apps.b"]]
