"""The admin routes in the test's own process, with definitions in a file that tests edit."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pydantic import SecretStr
from pytest_aiohttp import AiohttpClient

from signer.admin.access import TokenGuard, refuse_web_pages
from signer.admin.routes import admin_routes
from signer.admin.status.endpoint import StatusEndpoint
from signer.live.reloader import Reloader
from signer.service import Service
from tests.harness.http_service import ADAPTERS, HttpTestServer
from tests.harness.reloadable_service import reloadable_service

SECRET = "pLanted-secret-of-an-AccessKey"
DEFINITIONS = f"""\
version: 1
credentials:
  good: {{type: static, access_key_id: LTAI, access_key_secret: {SECRET}}}
  gone: {{type: ecs_ram_role, endpoint: "http://127.0.0.1:1"}}
defaults: {{region: cn-hangzhou, key_prefix: '', bucket: photos, credentials: good}}
apps:
"""
APP = "  a: {name: Photo wall, max_size: 1MiB}\n"
APP_WITHOUT_TOKEN = "  broken: {name: Broken, credentials: gone}\n"


@dataclass
class Admin:
    """A service with its admin routes, and a client of them."""

    client: TestClient[Any, Any]
    service: Service
    reloader: Reloader
    status: StatusEndpoint
    config: Path

    def edit(self, apps: str) -> None:
        """Replace the apps in the file of the definitions."""
        self.config.write_text(DEFINITIONS + apps, encoding="utf-8")

    async def get_json(self, path: str, status: int = 200) -> Any:
        """Return the JSON body of a GET request with the expected status."""
        async with self.client.get(path) as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def page(self, query: str = "") -> str:
        """Return the status page as a browser gets it."""
        async with self.client.get(f"/status{query}", headers={"Accept": "text/html"}) as response:
            assert (response.status, response.content_type) == (200, "text/html")
            return await response.text()


StartAdmin = Callable[..., Awaitable[Admin]]


@pytest.fixture
async def start_admin(tmp_path: Path, aiohttp_client: AiohttpClient) -> AsyncIterator[StartAdmin]:
    """Start the admin routes for some apps, with an adapter and a token."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(apps: str = APP, *, adapter: str = "fast", token: str | None = None) -> Admin:
            config = tmp_path / "signer.yaml"
            config.write_text(DEFINITIONS + apps, encoding="utf-8")
            service, reloader = await stack.enter_async_context(reloadable_service(config))
            status = StatusEndpoint(service, reloader)
            await stack.enter_async_context(status.sampling())
            guard = None if token is None else TokenGuard(SecretStr(token))
            router = admin_routes(service, reloader, status, guard)
            client: TestClient[Any, Any] = await aiohttp_client(
                HttpTestServer(service, router, ADAPTERS[adapter], guard or refuse_web_pages)
            )
            return Admin(client, service, reloader, status, config)

        yield start
