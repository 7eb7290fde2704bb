"""The public routes in the test's own process, with credentials that need no cloud."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from signer.api.routes import public_routes
from signer.delivery.callback_rules import CallbackRules
from signer.delivery.receiver import CallbackReceiver, CallbackRequest
from signer.errors import Forbidden
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service

Client = TestClient[Any, Any]

API_KEY = "the-key-of-a-backend"
WX_APP = "wx1234567890abcdef"
ORIGIN = "https://www.example.com"
DEFINITIONS = f"""
version: 1
credentials:
  key: {{type: static, access_key_id: LTAI, access_key_secret: secret}}
  gone: {{type: ecs_ram_role, endpoint: "http://127.0.0.1:1"}}
default_app: open
defaults: {{key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: key}}
apps:
  open: {{}}
  {WX_APP}: {{key_prefix: wx/}}
  exact: {{key: "{{uuid}}.{{ext}}", max_size: 1MiB, content_types: [image/jpeg], meta: [team]}}
  fixed:
    content_types: [image/jpeg, image/png]
    headers: {{x-oss-object-acl: private}}
    conditions: [[eq, $x-oss-meta-team, a]]
  full-only: {{generate_signature: false}}
  "off": {{enabled: false}}
  no-credential: {{credentials: gone}}
  web: {{cors_origins: ["{ORIGIN}"]}}
  local: {{cors_origins: ["http://localhost:*"]}}
  limited: {{rate_limit: {{per_app: 1/h}}}}
  reported: {{callback: {{url: "https://sign.example.com/v1/apps/reported/callback", body: "bucket=${{bucket}}&object=${{object}}"}}}}
  backend:
    key_prefix: "users/{{caller}}/"
    downloads: {{expires: 10m}}
    callers: {{type: api_key, keys: {{backend: {sha256(API_KEY.encode()).hexdigest()}}}}}
"""


@dataclass
class StubReceiver:
    """Accepts the callbacks whose body it expects."""

    received: list[tuple[str, CallbackRequest, bytes]] = field(default_factory=list)

    async def receive(self, rules: CallbackRules, request: CallbackRequest) -> str:
        body = await request.read_body()
        if body != b"bucket=photos&object=a.jpg":
            raise Forbidden("another body")
        self.received.append((rules.app_id, request, body))
        return "a.jpg"


@pytest.fixture
def receiver() -> StubReceiver:
    return StubReceiver()


@pytest.fixture(params=sorted(ADAPTERS))
async def client(
    request: pytest.FixtureRequest, receiver: StubReceiver, aiohttp_client: AiohttpClient
) -> AsyncIterator[Client]:
    """A client of the public routes, behind each of the HTTP adapters."""
    async with running_service(DEFINITIONS) as service:
        router = public_routes(service, cast(CallbackReceiver, receiver))
        yield await aiohttp_client(HttpTestServer(service, router, ADAPTERS[request.param]))


async def problem_of(client: Client, method: str, path: str, status: int, **options: Any) -> dict[str, Any]:
    """Return the problem that a request is answered with."""
    async with client.request(method, path, **options) as response:
        assert response.status == status, await response.text()
        problem: dict[str, Any] = await response.json(content_type="application/problem+json")
        assert problem["request_id"] == response.headers["X-Request-Id"]
        return problem
