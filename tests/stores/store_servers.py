"""A real server of each kind of store, and what a test does to its content without the signer."""

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


class StoreServer(Protocol):
    """A store that a test can edit, stop and start."""

    @property
    def url(self) -> str:
        """The value of `--config`."""
        ...

    async def put(self, text: str) -> None:
        """Replace its content with its own tools, without a notification."""
        ...

    async def stop(self) -> None:
        """Make it unreachable."""
        ...

    async def start(self) -> None:
        """Make it reachable again."""
        ...


@dataclass
class HttpStoreServer:
    """A server of one document, with ETags or without, that implements PUT as RFC 9110 does."""

    etags: bool = True
    accepts_put: bool = True
    text: bytes | None = None
    before_put: Callable[[], None] = lambda: None
    url: str = ""
    seen: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    """Method, status and headers of each request."""
    _port: int = 0
    _runner: web.AppRunner | None = None

    async def put(self, text: str) -> None:
        self.text = text.encode()

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/signer.yaml", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        sock = socket.create_server(("127.0.0.1", self._port))
        self._port = sock.getsockname()[1]
        await web.SockSite(self._runner, sock).start()
        self.url = f"http://127.0.0.1:{self._port}/signer.yaml#poll=1s"

    async def stop(self) -> None:
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
        if not self.accepts_put:
            return web.Response(status=405)
        self.before_put()
        if request.headers.get("If-Match", self.etag()) != self.etag():
            return web.Response(status=412)
        if request.headers.get("If-None-Match") == "*" and self.text is not None:
            return web.Response(status=412)
        self.text = await request.read()
        return web.Response(status=204)


@contextlib.asynccontextmanager
async def http_store_server(*, etags: bool = True, accepts_put: bool = True) -> AsyncIterator[HttpStoreServer]:
    """Run an empty HTTP store."""
    server = HttpStoreServer(etags, accepts_put)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@dataclass
class RedisStoreServer(RedisServer):
    """A redis-server that contains definitions."""

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
        """Its URL as logs and messages show it."""
        return f"{self.scheme}://127.0.0.1:{self.port}/0?key=oss-signer"

    async def put(self, text: str) -> None:
        async with self.client() as redis:
            await redis.set("oss-signer", text)


@contextlib.asynccontextmanager
async def redis_store_server(
    directory: Path, *arguments: str, password: str = "", scheme: str = "redis"
) -> AsyncIterator[RedisStoreServer]:
    """Run an empty Redis store."""
    server = RedisStoreServer(directory, arguments, password, scheme=scheme)
    if "--tls-port" in arguments:
        server.port = int(arguments[arguments.index("--tls-port") + 1])
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@dataclass
class OssStoreObject:
    """An object in the local cloud; the signer reads it with the instance's role, the test writes it with a key."""

    cloud: Cloud
    key: str = "配置/signer.yaml"

    @property
    def url(self) -> str:
        options = f"region=cn-hangzhou&endpoint={self.cloud.oss}&metadata={self.cloud.metadata}"
        return f"oss://config/{self.key}?{options}&poll=1s"

    def _client(self) -> oss.Client:
        provider = oss.credentials.StaticCredentialsProvider("LTAI-local", "local-secret")
        return oss.Client(oss.Config("cn-hangzhou", self.cloud.oss, credentials_provider=provider))

    async def put(self, text: str) -> None:
        request = oss.PutObjectRequest(bucket="config", key=self.key, body=text.encode())
        await asyncio.to_thread(self._client().put_object, request)

    async def delete(self) -> None:
        request = oss.DeleteObjectRequest(bucket="config", key=self.key)
        await asyncio.to_thread(self._client().delete_object, request)

    async def stop(self) -> None:
        await self.cloud.set_faults(oss={"kind": "reset"})

    async def start(self) -> None:
        await self.cloud.set_faults()


@dataclass
class StoreFile:
    """A file with definitions."""

    path: Path

    @property
    def url(self) -> str:
        return str(self.path)

    async def put(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")

    async def stop(self) -> None:
        self.path.rename(self.path.with_suffix(".away"))

    async def start(self) -> None:
        self.path.with_suffix(".away").rename(self.path)
