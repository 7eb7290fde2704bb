"""The local cloud's WeChat, and phones that log in to it."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

import aiohttp

SECRET = "5f3d6a1c9b7e4208a1c2d3e4f5a6b7c8"


@dataclass
class LocalWeChat:
    address: str
    session: aiohttp.ClientSession

    async def app(self, secret: str = SECRET, **members: Any) -> str:
        """Create a mini-program and return its id."""
        app_id = f"wx{secrets.token_hex(8)}"
        await self.set_app(app_id, secret, **members)
        return app_id

    async def set_app(self, app_id: str, secret: str, **members: Any) -> None:
        body = {"secret": secret, **members}
        async with self.session.put(f"{self.address}/-/wechat/apps/{app_id}", json=body) as answer:
            assert answer.status < 300, await answer.text()

    async def code(self, app_id: str, user: str = "anna", **members: Any) -> str:
        """Return the code of wx.login on a user's phone."""
        body = {"appid": app_id, "user": user, **members}
        async with self.session.post(f"{self.address}/-/wechat/codes", json=body) as answer:
            assert answer.status == 201, await answer.text()
            code: str = (await answer.json())["code"]
            return code

    async def code2session(self, **query: str) -> tuple[dict[str, Any], aiohttp.ClientResponse]:
        """Call code2Session as the mini-program's server does."""
        async with self.session.get(f"{self.address}/sns/jscode2session", params=query) as answer:
            return json.loads(await answer.read()), answer

    async def set_faults(self, *faults: dict[str, Any]) -> None:
        async with self.session.put(f"{self.address}/-/faults", json={"wechat": list(faults)}) as answer:
            assert answer.status == 200, await answer.text()

    async def waiting(self) -> int:
        async with self.session.get(f"{self.address}/-/waiting") as answer:
            count: int = (await answer.json())["wechat"]
            return count

    async def calls(self, app_id: str) -> list[dict[str, Any]]:
        """Return all calls of code2Session for this mini-program, with those that failed by a fault."""
        async with self.session.get(f"{self.address}/-/calls", params={"action": "code2Session"}) as answer:
            return [each for each in await answer.json() if each["who"] == app_id]
