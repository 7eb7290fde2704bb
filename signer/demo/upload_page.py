"""The demo's upload page, and the two JSON routes that it uses: the apps, and the uploaded objects."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from signer.definitions.registry import App
from signer.demo.page_html import preferred_language, render_pages
from signer.errors import NotFound
from signer.http.reply import HTML, Reply, json_reply
from signer.http.router import Router
from signer.revision import Context
from signer.service import Service
from signer.signing.content_types import content_type_by_name

_FILES = Path(__file__).parent / "page"


def add_upload_page(
    routes: Router, service: Service, session: aiohttp.ClientSession, oss: str, oss_for_browsers: str
) -> None:
    """Add the page to the signer's public routes; browsers may reach the local OSS at another URL than this process."""
    files = {
        each.name: (each.read_bytes(), content_type_by_name(each.name)) for each in _FILES.iterdir() if each.is_file()
    }
    pages = render_pages()

    async def index(context: Context) -> Reply:
        language = context.query.get("lang", "")
        if language not in pages:
            language = preferred_language(context.headers.get("Accept-Language", ""))
        return Reply(200, pages[language], HTML, headers={"Content-Language": language, "Vary": "Accept-Language"})

    async def page(context: Context) -> Reply:
        if context.parameter not in files:
            raise NotFound("the page has no such file")
        return Reply(200, *files[context.parameter])

    async def apps(context: Context) -> Reply:
        return json_reply([_describe(each) for each in context.revision.registry.apps.values()])

    async def objects(context: Context) -> Reply:
        app_id = context.query.get("app", "")
        registry = service.current.registry
        # The objects of a disabled app are shown too.
        bucket = (registry.apps.get(app_id) or registry.app(app_id)).rules.bucket
        async with session.get(f"{oss}/-/objects", params={"bucket": bucket}) as response:
            found: list[dict[str, Any]] = await response.json()
        for each in found:
            each["url"] = f"{oss_for_browsers}/{bucket}/{quote(each['key'])}"
        return json_reply(sorted(found, key=lambda each: str(each["last_modified"]), reverse=True))

    routes.add("GET", "/", index)
    routes.add("GET", "/demo/apps", apps)
    routes.add("GET", "/demo/objects", objects)
    routes.add("GET", "/demo/page/{file}", page)


def _describe(app: App) -> dict[str, Any]:
    naming, multipart = app.rules.naming, app.rules.multipart
    return {
        "id": app.id,
        "name": app.name,
        "enabled": app.enabled,
        "bucket": app.rules.bucket,
        "region": app.rules.region,
        "max_size_bytes": app.rules.max_size_bytes,
        "multipart": None
        if multipart is None
        else {"threshold_bytes": multipart.threshold_bytes, "max_size_bytes": multipart.max_size_bytes},
        "content_types": app.rules.content_types,
        "key_prefix": naming.prefix.text,
        "key": "client" if naming.name is None else naming.name.text,
    }
