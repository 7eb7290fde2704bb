"""The local cloud's Douyin, and phones that log in to it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import aiohttp

SECRET = "188506c64e0f1a2b3c4d5e6f55a31de40625ec71"


@dataclass
class LocalDouyin:
    address: str
    session: aiohttp.ClientSession

    async def app(self, secret: str = SECRET) -> str:
        """Create a mini-program and return its id."""
        app_id = f"tt{secrets.token_hex(9)}"
        async with self.session.put(f"{self.address}/-/douyin/apps/{app_id}", json={"secret": secret}) as response:
            assert response.status == 201, await response.text()
        return app_id

    async def code(self, app_id: str, user: str = "anna") -> str:
        """Return the code of tt.login on a user's phone."""
        body = {"appid": app_id, "user": user}
        async with self.session.post(f"{self.address}/-/douyin/codes", json=body) as response:
            assert response.status == 201, await response.text()
            code: str = (await response.json())["code"]
            return code

    async def code2session(self, **members: str) -> dict[str, Any]:
        """Call code2Session as the mini-program's server does."""
        url = f"{self.address}/api/apps/v2/jscode2session"
        async with self.session.post(url, json=members) as response:
            body: dict[str, Any] = await response.json()
            return {**body, "status": response.status}

    async def set_faults(self, *faults: dict[str, Any]) -> None:
        async with self.session.put(f"{self.address}/-/faults", json={"wechat": list(faults)}) as response:
            assert response.status == 200, await response.text()

    async def calls(self, app_id: str) -> list[dict[str, Any]]:
        """Return all calls of code2Session for this mini-program."""
        query = {"action": "douyinCode2Session"}
        async with self.session.get(f"{self.address}/-/calls", params=query) as response:
            return [each for each in await response.json() if each["who"] == app_id]
