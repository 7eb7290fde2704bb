"""The local cloud's WeChat, and phones that log in to it."""

from __future__ import annotations

import json
import secrets
from typing import Any, ClassVar

import aiohttp

from tests.callers.local_platform import LocalPlatform

SECRET = "5f3d6a1c9b7e4208a1c2d3e4f5a6b7c8"


class LocalWeChat(LocalPlatform):
    name: ClassVar[str] = "wechat"
    login_action: ClassVar[str] = "code2Session"

    async def app(self, secret: str = SECRET, **members: Any) -> str:
        """Create a mini-program and return its id."""
        app_id = f"wx{secrets.token_hex(8)}"
        await self.set_app(app_id, secret=secret, **members)
        return app_id

    async def code2session(self, **query: str) -> tuple[dict[str, Any], aiohttp.ClientResponse]:
        """Call code2Session as the mini-program's server does."""
        async with self.session.get(f"{self.address}/sns/jscode2session", params=query) as answer:
            return json.loads(await answer.read()), answer

    async def waiting(self) -> int:
        async with self.session.get(f"{self.address}/-/waiting") as answer:
            count: int = (await answer.json())["wechat"]
            return count
