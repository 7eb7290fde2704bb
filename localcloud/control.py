"""The control API for tests and the demo, under `/-/` on each server.

calls.py describes `/-/calls`, faults.py `/-/faults`, wechat.py `/-/wechat/`, grants.py roles, CORS and domains.
`/-/waiting` returns, by server, the number of requests that a fault delays. `PUT /-/access-keys/{id}` with
`{"secret": "...", "enabled": true, "policy": {...}}` creates or changes an AccessKey; omitted members keep their
values. The policy is what the RAM user of the key may do at STS; null: everything.
"""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from localcloud.calls import CallLog
from localcloud.control_json import bad_request, read_json
from localcloud.cors import rules_for
from localcloud.faults import Faults
from localcloud.objects import Objects
from localcloud.oss import describe
from localcloud.ram import check_grammar
from localcloud.world import DEFAULT_ACCOUNT, AccessKey, Bucket, World

_KEY_ID = re.compile(r"[\w.=-]{1,128}", re.ASCII)


class Control:
    def __init__(self, world: World, objects: Objects, faults: Faults, calls: CallLog) -> None:
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
        return web.json_response(self._calls.as_json(request.query.get("action")))

    async def clear_calls(self, _request: web.Request) -> web.Response:
        self._calls.clear()
        return web.json_response([])

    async def objects(self, request: web.Request) -> web.Response:
        return web.json_response([describe(each) for each in self._objects.list(request.query.get("bucket", ""))])

    async def create_bucket(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if not isinstance(body, dict) or not {"name", "region"} <= set(body) <= {"name", "region", "cors_origins"}:
            return bad_request("the members are name, region and optionally cors_origins")
        origins = body.get("cors_origins", ["*"])
        if not isinstance(origins, list) or not all(isinstance(each, str) for each in [*origins, body["name"]]):
            return bad_request("name must be a text, cors_origins a list of texts")
        if not isinstance(body["region"], str) or not body["region"]:
            return bad_request("region must be a text")
        bucket = Bucket(body["name"], body["region"], cors=rules_for(tuple(origins)))
        self._world.buckets[bucket.name] = bucket
        return web.json_response({"name": bucket.name, "region": bucket.region}, status=201)

    async def set_access_key(self, request: web.Request) -> web.Response:
        known = self._world.access_keys.get(request.match_info["id"])
        try:
            key = _access_key(request.match_info["id"], await read_json(request), known)
        except ValueError as error:
            return bad_request(str(error))
        self._world.access_keys[key.id] = key
        return web.json_response({"id": key.id, "enabled": key.enabled}, status=201 if known is None else 200)

    async def show_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._faults.active)

    async def set_faults(self, request: web.Request) -> web.Response:
        try:
            self._faults.set(await read_json(request), request.query.get("seed"))
        except ValueError as error:
            return bad_request(str(error))
        return await self.show_faults(request)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._faults.set({})
        return await self.show_faults(request)

    async def waiting(self, _request: web.Request) -> web.Response:
        return web.json_response(self._faults.waiting)


def _access_key(key_id: str, body: Any, known: AccessKey | None) -> AccessKey:
    """Raise ValueError if the body is invalid."""
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError("an AccessKey id consists of letters, digits and . _ = -")
    if not isinstance(body, dict) or set(body) - {"secret", "enabled", "policy"}:
        raise ValueError("an AccessKey has only secret, enabled and policy")
    secret = body.get("secret", None if known is None else known.secret)
    enabled = body.get("enabled", True if known is None else known.enabled)
    if not isinstance(secret, str) or not secret:
        raise ValueError("secret must be a text")
    if not isinstance(enabled, bool):
        raise ValueError("enabled must be true or false")
    policy = body.get("policy", None if known is None else known.policy)
    if policy is not None:
        policy = check_grammar(policy)
    return AccessKey(key_id, secret, DEFAULT_ACCOUNT if known is None else known.account, enabled, policy)
