"""The demo's page and the two answers it needs beside the signer's own: the apps, and what has arrived."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web

from signer.definitions.registry import App
from signer.errors import NotFound
from signer.service import Service
from signer.web.exchange import Exchange
from signer.web.routing import Routes

_FILES = Path(__file__).parent / "page"


def add_page(routes: Routes, service: Service, session: aiohttp.ClientSession, oss: str, oss_for_browsers: str) -> None:
    """Adds the page to the signer's public routes; `oss`: the local OSS, as we and as browsers see it."""

    async def index(_exchange: Exchange) -> web.FileResponse:
        return web.FileResponse(_FILES / "index.html")

    async def page(exchange: Exchange) -> web.FileResponse:
        file = _FILES / exchange.parameter
        if file not in _FILES.iterdir():
            raise NotFound("the page has no such file")
        return web.FileResponse(file)

    async def apps(exchange: Exchange) -> web.Response:
        return web.json_response([_describe(each) for each in exchange.revision.registry.apps.values()])

    async def objects(exchange: Exchange) -> web.Response:
        bucket = service.current.registry.app(exchange.request.query.get("app")).rules.bucket
        async with session.get(f"{oss}/-/objects", params={"bucket": bucket}) as answer:
            found: list[dict[str, Any]] = await answer.json()
        for each in found:
            each["url"] = f"{oss_for_browsers}/{bucket}/{quote(each['key'])}"
        return web.json_response(sorted(found, key=lambda each: str(each["last_modified"]), reverse=True))

    routes.add("GET", "/", index)
    routes.add("GET", "/demo/apps", apps)
    routes.add("GET", "/demo/objects", objects)
    routes.add("GET", "/demo/page/{file}", page)


def _describe(app: App) -> dict[str, Any]:
    naming = app.rules.naming
    return {
        "id": app.id,
        "name": app.name,
        "enabled": app.enabled,
        "bucket": app.rules.bucket,
        "region": app.rules.region,
        "max_size_bytes": app.rules.max_size_bytes,
        "content_types": app.rules.content_types,
        "key_prefix": naming.prefix.text,
        "key": "client" if naming.name is None else naming.name.text,
    }
