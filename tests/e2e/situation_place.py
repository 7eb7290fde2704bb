"""One signer for all rows of test_public_situations: an app for each kind of request, and a key set of another service."""

from __future__ import annotations

import contextlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import jwt
from aiohttp import web

from tests.callers.signing_keys import SHARED, Keys, claims, jwk, public_pem, signed
from tests.callers.stub import stub
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import Signer, signer

API_KEY = "the-key-of-a-backend"
FIREBASE = "/v1/jwk/securetoken@system.gserviceaccount.com"
AZURE = "/tenant/discovery/v2.0/keys?p=b2c_1_signin"
KEYCLOAK = "/realms/my%20realm/protocol/openid-connect/certs"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_BINARY_KEY = bytes(range(200, 240))


@dataclass(frozen=True)
class Place:
    """Where the requests go."""

    running: Signer
    cloud: Cloud
    tokens: dict[str, str]
    """Login tokens by the names that the table uses."""


def _definitions(issuer: str, metadata: str, pem: str) -> str:
    """Return the definitions with an app for each kind of request."""
    one_line = pem.replace("\n", "\\n")
    jwt_with = {
        "firebase": {"jwks_url": issuer + FIREBASE},
        "azure": {"jwks_url": issuer + AZURE},
        "keycloak": {"jwks_url": issuer + KEYCLOAK},
        "pem": {"public_key": one_line},
        "base64": {"secret": b64encode(_BINARY_KEY).decode(), "secret_encoding": "base64"},
    }
    backend = {"type": "api_key", "keys": {"backend": sha256(API_KEY.encode()).hexdigest()}}
    apps: dict[str, dict[str, Any]] = {
        "open": {"key_prefix": "open/"},
        "typed": {"key_prefix": "typed/", "content_types": ["image/*", DOCX]},
        "web": {"key_prefix": "web/", "cors_origins": ["https://h5.example.com", "capacitor://localhost"]},
        "mine": {"key_prefix": "u/{caller}/", "downloads": {"expires": "10m"}, "callers": backend},
        "hashed": {"key_prefix": "users/{caller_hash}/", "callers": {"type": "jwt", "secret": SHARED}},
        "instance": {"key_prefix": "i/", "credentials": "instance"},
    }
    apps |= {name: {"key_prefix": f"{name}/", "callers": {"type": "jwt", **rest}} for name, rest in jwt_with.items()}
    document = {
        "version": 1,
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1/32"]},
        "credentials": {
            "key": {"type": "static", "access_key_id": "LTAI", "access_key_secret": "secret"},
            "instance": {"type": "ecs_ram_role", "endpoint": metadata},
        },
        "defaults": {"bucket": "photos", "region": "cn-hangzhou", "credentials": "key"},
        "apps": apps,
    }
    return json.dumps(document, ensure_ascii=False)


@contextlib.asynccontextmanager
async def running_place(directory: Path) -> AsyncIterator[Place]:
    """Run the signer and what it needs until the end of the block."""
    keys = Keys()
    tokens = {
        "RS256": signed(keys.rsa, "RS256", "key-1"),
        "RS256 without kid": signed(keys.rsa, "RS256"),
        "HS256 of a binary key": jwt.encode(claims(), _BINARY_KEY, "HS256"),
        "auth0|123": signed(SHARED, "HS256", sub="auth0|123"),
    }

    async def key_set(request: web.Request) -> web.Response:
        """Respond only at the addresses as they are written in the definitions."""
        if request.raw_path not in (FIREBASE, AZURE, KEYCLOAK):
            return web.Response(status=404)
        return web.json_response({"keys": [jwk(keys.rsa, "key-1")]})

    config = directory / "signer.yaml"
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud, stub(key_set) as issuer:
        config.write_text(_definitions(issuer.url, cloud.metadata, public_pem(keys.rsa)), encoding="utf-8")
        async with signer(session, config) as running:
            yield Place(running, cloud, tokens)
