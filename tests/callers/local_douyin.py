"""The local cloud's Douyin, and phones that log in to it."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from tests.callers.local_platform import LocalPlatform

SECRET = "188506c64e0f1a2b3c4d5e6f55a31de40625ec71"


class LocalDouyin(LocalPlatform):
    name: ClassVar[str] = "douyin"
    login_action: ClassVar[str] = "douyinCode2Session"

    async def app(self, secret: str = SECRET) -> str:
        """Create a mini-program and return its id."""
        app_id = f"tt{secrets.token_hex(9)}"
        await self.set_app(app_id, secret=secret)
        return app_id

    async def code2session(self, **members: str) -> dict[str, Any]:
        """Call code2Session as the mini-program's server does."""
        url = f"{self.address}/api/apps/v2/jscode2session"
        async with self.session.post(url, json=members) as response:
            body: dict[str, Any] = await response.json()
            return {**body, "status": response.status}
