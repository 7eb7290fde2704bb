"""The ECS metadata service of 100.100.100.200, with its normal mode (v1) and its hardened mode (v2).

It gives no token to a request with X-Forwarded-For, which a proxy has forwarded.

See: https://help.aliyun.com/zh/ecs/user-guide/view-instance-metadata
"""

from __future__ import annotations

import secrets

from aiohttp import web
from cachetools import TLRUCache

from localcloud.integers import parse_integer
from localcloud.trust import trusts
from localcloud.world import DEFAULT_ACCOUNT, Token, World, iso, role_arn

_MAX_TTL_SECONDS = 21600
_ROTATE_SECONDS = 1800
"""The real service replaces a credential some time before it expires; until then all clients get the same one."""
_INSTANCE = "i-local"
"""The name of the session."""

_CREDENTIALS = "/latest/meta-data/ram/security-credentials/"
_ACTIONS = {
    "/latest/api/token": "token",
    _CREDENTIALS: "role",
    "/latest/meta-data/instance-id": "instance-id",
}
_MAX_TOKENS = 100_000


class Metadata:
    def __init__(self, world: World) -> None:
        self._world = world
        # Maps each token to its lifetime in seconds.
        self._tokens: TLRUCache[str, int, float] = TLRUCache(_MAX_TOKENS, lambda _token, ttl, now: now + ttl)
        self._issued: Token | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.put("/latest/api/token", self.token),
            web.get(_CREDENTIALS, self.role_name),
            web.get(_CREDENTIALS + "{role}", self.credentials),
            web.get("/latest/meta-data/instance-id", self.instance_id),
        ]

    async def named(self, request: web.Request) -> tuple[str, str]:
        """Return the action and the role, for `/-/calls`."""
        directory, _, role = request.path.rpartition("/")
        if role and f"{directory}/" == _CREDENTIALS:
            return "credentials", role
        return _ACTIONS.get(request.path, ""), ""

    async def token(self, request: web.Request) -> web.Response:
        self._world.counts["metadata.token"] += 1
        if self._world.metadata_token_status is not None:
            status = self._world.metadata_token_status
            return web.Response(status=status, headers={"Allow": "GET"} if status == 405 else None)
        if "X-Forwarded-For" in request.headers:
            return web.Response(status=403, text="403 - Forbidden")
        ttl = parse_integer(request.headers.get("X-aliyun-ecs-metadata-token-ttl-seconds", ""), _MAX_TTL_SECONDS)
        if not ttl:
            return web.Response(status=400, text="400 - Bad Request")
        token = secrets.token_urlsafe(32)
        self._tokens[token] = ttl
        return web.Response(text=token)

    def _refusal(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("X-aliyun-ecs-metadata-token")
        if given in self._tokens if given is not None else not self._world.hardened:
            return None
        return web.Response(status=403, text="403 - Forbidden")

    async def instance_id(self, request: web.Request) -> web.Response:
        return self._refusal(request) or web.Response(text="i-local0000000000000")

    async def role_name(self, request: web.Request) -> web.Response:
        self._world.counts["metadata.role"] += 1
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if self._world.instance_role is None:
            return web.Response(status=404, text="404 - Not Found")
        return web.Response(text=self._world.instance_role)

    async def credentials(self, request: web.Request) -> web.Response:
        self._world.counts["metadata.credentials"] += 1
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if self._world.instance_role is None or request.match_info["role"] != self._world.instance_role:
            return web.Response(status=404, text="404 - Not Found")
        role = self._world.roles.get(role_arn(self._world.instance_role, DEFAULT_ACCOUNT))
        if role is not None and not trusts(role.trust_policy, "Service", "ecs.aliyuncs.com", {}):
            return web.Response(status=404, text="404 - Not Found")
        now = self._world.now()
        lifetime_seconds = self._world.token_seconds or _MAX_TTL_SECONDS
        rotate = min(_ROTATE_SECONDS, lifetime_seconds / 2)
        arn = role_arn(self._world.instance_role, DEFAULT_ACCOUNT)
        is_current = self._issued is not None and self._issued.id in self._world.tokens and self._issued.role_arn == arn
        if not is_current or self._issued is None or (self._issued.expiration - now).total_seconds() < rotate:
            self._issued = self._world.issue(role_arn=arn, session_name=_INSTANCE, seconds=lifetime_seconds)
        return web.json_response(
            {
                "Code": "Success",
                "AccessKeyId": self._issued.id,
                "AccessKeySecret": self._issued.secret,
                "SecurityToken": self._issued.security_token,
                "Expiration": iso(self._issued.expiration),
                "LastUpdated": iso(now),
            }
        )
