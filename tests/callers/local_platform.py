"""What the platforms of mini-programs have in common in the local cloud: apps, phones that log in, faults and calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp


@dataclass
class LocalPlatform:
    name: ClassVar[str]
    """Its part of the addresses that control it."""
    id_member: ClassVar[str] = "appid"
    login_action: ClassVar[str]
    """The local cloud's name of the call that exchanges a code."""

    address: str
    session: aiohttp.ClientSession

    async def set_app(self, app_id: str, **members: Any) -> None:
        """Create or change a mini-program."""
        async with self.session.put(f"{self.address}/-/{self.name}/apps/{app_id}", json=members) as response:
            assert response.status < 300, await response.text()

    async def code(self, app_id: str, user: str = "anna", **members: Any) -> str:
        """Return the code of a login on a user's phone."""
        body = {self.id_member: app_id, "user": user, **members}
        async with self.session.post(f"{self.address}/-/{self.name}/codes", json=body) as response:
            assert response.status == 201, await response.text()
            code: str = (await response.json())["code"]
            return code

    async def set_faults(self, *faults: dict[str, Any]) -> None:
        """Set the faults of the server that plays all platforms."""
        async with self.session.put(f"{self.address}/-/faults", json={"wechat": list(faults)}) as response:
            assert response.status == 200, await response.text()

    async def calls(self, app_id: str) -> list[dict[str, Any]]:
        """Return all exchanges of codes for this mini-program, with those that failed by a fault."""
        async with self.session.get(f"{self.address}/-/calls", params={"action": self.login_action}) as response:
            return [each for each in await response.json() if each["who"] == app_id]
