"""The local cloud's Alipay, and phones that log in to it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass
class LocalAlipay:
    address: str
    session: aiohttp.ClientSession

    async def app(self, public_key: str, **members: Any) -> str:
        """Create an app with a public key in PEM and return its id."""
        app_id = f"2021{secrets.randbelow(10**12):012}"
        body = {"public_key": public_key, **members}
        async with self.session.put(f"{self.address}/-/alipay/apps/{app_id}", json=body) as response:
            assert response.status == 201, await response.text()
        return app_id

    async def code(self, app_id: str, user: str = "anna") -> str:
        """Return the code of my.getAuthCode on a user's phone."""
        body = {"app_id": app_id, "user": user}
        async with self.session.post(f"{self.address}/-/alipay/codes", json=body) as response:
            assert response.status == 201, await response.text()
            code: str = (await response.json())["code"]
            return code

    async def call(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Call the gateway and return the status and the body."""
        async with self.session.post(f"{self.address}/gateway.do", data=form) as response:
            return response.status, await response.json()

    async def set_faults(self, *faults: dict[str, Any]) -> None:
        async with self.session.put(f"{self.address}/-/faults", json={"wechat": list(faults)}) as response:
            assert response.status == 200, await response.text()

    async def calls(self, app_id: str) -> list[dict[str, Any]]:
        """Return all calls of alipay.system.oauth.token for this app."""
        query = {"action": "alipayOauthToken"}
        async with self.session.get(f"{self.address}/-/calls", params=query) as response:
            return [each for each in await response.json() if each["who"] == app_id]
