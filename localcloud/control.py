"""What tests and the demo ask of the local cloud itself, under `/-/` on each of its servers.

`/-/calls` is told in calls.py, `/-/faults` in faults.py, `/-/wechat/` in wechat.py, roles, CORS and domains in
grants.py. `/-/waiting` says, by server, how many requests a fault holds up. `PUT /-/access-keys/{id}` makes a key, or
gives it another secret, or switches it off and on: `{"secret": "...", "enabled": true}`; a key that exists keeps what
is not given.
"""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from localcloud.calls import Calls
from localcloud.cors import rules_for
from localcloud.faults import Faults
from localcloud.objects import Objects
from localcloud.oss import describe
from localcloud.world import DEFAULT_ACCOUNT, AccessKey, Bucket, World

_KEY_ID = re.compile(r"[\w.=-]{1,128}", re.ASCII)


class Control:
    def __init__(self, world: World, objects: Objects, faults: Faults, calls: Calls) -> None:
        self._world, self._objects, self._faults, self._calls = world, objects, faults, calls

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/-/counts", self.counts),
            web.get("/-/calls", self.show_calls),
            web.delete("/-/calls", self.clear_calls),
            web.get("/-/objects", self.objects),
            web.post("/-/buckets", self.create_bucket),
            web.put("/-/access-keys/{id}", self.set_access_key),
            web.get("/-/faults", self.show_faults),
            web.put("/-/faults", self.set_faults),
            web.delete("/-/faults", self.clear_faults),
            web.get("/-/waiting", self.waiting),
        ]

    async def counts(self, _request: web.Request) -> web.Response:
        return web.json_response(self._world.counts)

    async def show_calls(self, request: web.Request) -> web.Response:
        return web.json_response(self._calls.shown(request.query.get("action")))

    async def clear_calls(self, _request: web.Request) -> web.Response:
        self._calls.clear()
        return web.json_response([])

    async def objects(self, request: web.Request) -> web.Response:
        return web.json_response([describe(each) for each in self._objects.list(request.query.get("bucket", ""))])

    async def create_bucket(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        bucket = Bucket(wanted["name"], wanted["region"], rules_for(tuple(wanted.get("cors_origins", ["*"]))))
        self._world.buckets[bucket.name] = bucket
        return web.json_response({"name": bucket.name, "region": bucket.region}, status=201)

    async def set_access_key(self, request: web.Request) -> web.Response:
        known = self._world.access_keys.get(request.match_info["id"])
        try:
            key = _access_key(request.match_info["id"], await request.json(), known)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        self._world.access_keys[key.id] = key
        return web.json_response({"id": key.id, "enabled": key.enabled}, status=201 if known is None else 200)

    async def show_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._faults.active)

    async def set_faults(self, request: web.Request) -> web.Response:
        try:
            self._faults.set(await request.json(), request.query.get("seed"))
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return await self.show_faults(request)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._faults.set({})
        return await self.show_faults(request)

    async def waiting(self, _request: web.Request) -> web.Response:
        return web.json_response(self._faults.waiting)


def _access_key(key_id: str, wanted: Any, known: AccessKey | None) -> AccessKey:
    """Raises ValueError."""
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError("an access key's id has letters, digits and . _ = -")
    if not isinstance(wanted, dict) or set(wanted) - {"secret", "enabled"}:
        raise ValueError("an access key has secret and enabled")
    secret = wanted.get("secret", None if known is None else known.secret)
    enabled = wanted.get("enabled", True if known is None else known.enabled)
    if not isinstance(secret, str) or not secret:
        raise ValueError("secret is a text")
    if not isinstance(enabled, bool):
        raise ValueError("enabled is true or false")
    return AccessKey(key_id, secret, DEFAULT_ACCOUNT if known is None else known.account, enabled)
