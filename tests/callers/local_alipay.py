"""The local cloud's Alipay, and phones that log in to it."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from tests.callers.local_platform import LocalPlatform


class LocalAlipay(LocalPlatform):
    name: ClassVar[str] = "alipay"
    id_member: ClassVar[str] = "app_id"
    login_action: ClassVar[str] = "alipayOauthToken"

    async def app(self, public_key: str, **members: Any) -> str:
        """Create an app with a public key in PEM and return its id."""
        app_id = f"2021{secrets.randbelow(10**12):012}"
        await self.set_app(app_id, public_key=public_key, **members)
        return app_id

    async def call(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Call the gateway and return the status and the body."""
        async with self.session.post(f"{self.address}/gateway.do", data=form) as response:
            return response.status, await response.json()
