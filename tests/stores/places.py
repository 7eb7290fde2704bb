"""Stores of every kind as real servers, each with what a test does to it behind the signer's back."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import alibabacloud_oss_v2 as oss
from aiohttp import web

from tests.harness.local_cloud import Cloud
from tests.harness.redis_server import RedisServer


class Place(Protocol):
    @property
    def url(self) -> str: ...

    async def put(self, text: str) -> None:
        """Replaces what it holds, in the way of its own tools: nobody is told."""
        ...

    async def go_away(self) -> None: ...

    async def come_back(self) -> None: ...


@dataclass
class HttpPlace:
    """A server of one document, with ETags or without, that takes PUT as RFC 9110 says."""

    etags: bool = True
    takes_put: bool = True
    text: bytes | None = None
    before_put: Callable[[], None] = lambda: None
    url: str = ""
    seen: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    """Method, status and headers of each request."""
    _port: int = 0
    _runner: web.AppRunner | None = None

    async def put(self, text: str) -> None:
        self.text = text.encode()

    async def come_back(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/signer.yaml", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        sock = socket.create_server(("127.0.0.1", self._port))
        self._port = sock.getsockname()[1]
        await web.SockSite(self._runner, sock).start()
        self.url = f"http://127.0.0.1:{self._port}/signer.yaml#poll=1s"

    async def go_away(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def etag(self) -> str:
        return "" if self.text is None else f'"{hashlib.sha256(self.text).hexdigest()[:16]}"'

    async def _handle(self, request: web.Request) -> web.Response:
        response = await (self._put(request) if request.method == "PUT" else self._get(request))
        if self.etags and self.text is not None:
            response.headers["ETag"] = self.etag()
        self.seen.append((request.method, response.status, dict(request.headers)))
        return response

    async def _get(self, request: web.Request) -> web.Response:
        if self.text is None:
            return web.Response(status=404)
        if self.etags and request.headers.get("If-None-Match") == self.etag():
            return web.Response(status=304)
        return web.Response(body=self.text)

    async def _put(self, request: web.Request) -> web.Response:
        if not self.takes_put:
            return web.Response(status=405)
        self.before_put()
        if request.headers.get("If-Match", self.etag()) != self.etag():
            return web.Response(status=412)
        if request.headers.get("If-None-Match") == "*" and self.text is not None:
            return web.Response(status=412)
        self.text = await request.read()
        return web.Response(status=204)


@contextlib.asynccontextmanager
async def http_place(*, etags: bool = True, takes_put: bool = True) -> AsyncIterator[HttpPlace]:
    place = HttpPlace(etags, takes_put)
    await place.come_back()
    try:
        yield place
    finally:
        await place.go_away()


@dataclass
class RedisPlace(RedisServer):
    """A redis-server that holds definitions."""

    scheme: str = "redis"
    options: str = "poll=1s"

    @property
    def url(self) -> str:
        user = f":{self.password}@" if self.password else ""
        if self.scheme == "unix":
            return f"unix://{user}{self.socket}?{self.options}"
        return f"{self.scheme}://{user}127.0.0.1:{self.port}/0?{self.options}"

    @property
    def location(self) -> str:
        """As people see it."""
        return f"{self.scheme}://127.0.0.1:{self.port}/0?key=oss-signer"

    async def put(self, text: str) -> None:
        async with self.client() as redis:
            await redis.set("oss-signer", text)

    async def go_away(self) -> None:
        await self.stop()

    async def come_back(self) -> None:
        await self.start()


@contextlib.asynccontextmanager
async def redis_place(
    directory: Path, *arguments: str, password: str = "", scheme: str = "redis"
) -> AsyncIterator[RedisPlace]:
    place = RedisPlace(directory, arguments, password, scheme=scheme)
    if "--tls-port" in arguments:
        place.port = int(arguments[arguments.index("--tls-port") + 1])
    await place.come_back()
    try:
        yield place
    finally:
        await place.go_away()


@dataclass
class OssPlace:
    """An object in the local cloud; the signer reads it with the instance's role, the test writes it with a key."""

    cloud: Cloud
    key: str = "配置/signer.yaml"

    @property
    def url(self) -> str:
        where = f"region=cn-hangzhou&endpoint={self.cloud.oss}&metadata={self.cloud.metadata}"
        return f"oss://config/{self.key}?{where}&poll=1s"

    def _client(self) -> oss.Client:
        provider = oss.credentials.StaticCredentialsProvider("LTAI-local", "local-secret")
        return oss.Client(oss.Config("cn-hangzhou", self.cloud.oss, credentials_provider=provider))

    async def put(self, text: str) -> None:
        wanted = oss.PutObjectRequest(bucket="config", key=self.key, body=text.encode())
        await asyncio.to_thread(self._client().put_object, wanted)

    async def delete(self) -> None:
        wanted = oss.DeleteObjectRequest(bucket="config", key=self.key)
        await asyncio.to_thread(self._client().delete_object, wanted)

    async def go_away(self) -> None:
        await self.cloud.set_faults(oss={"kind": "reset"})

    async def come_back(self) -> None:
        await self.cloud.set_faults()


@dataclass
class FilePlace:
    path: Path

    @property
    def url(self) -> str:
        return str(self.path)

    async def put(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")

    async def go_away(self) -> None:
        self.path.rename(self.path.with_suffix(".away"))

    async def come_back(self) -> None:
        self.path.with_suffix(".away").rename(self.path)
