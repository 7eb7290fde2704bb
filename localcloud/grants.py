"""Roles, what they may do, and names of buckets, set while it runs, at any of its servers:

- `PUT /-/roles/{name}` with any of `{"policy": {...}, "trusted": true}`: the RAM policy of a role of the first account
  (null: it may do everything), and whether its trust policy lets anybody assume it. It counts at once, also for tokens
  that were issued before.
- `PUT /-/instance-role` with `{"name": "..."}`: the role attached to the instance; null: none.
- `PUT /-/buckets/{name}/cors` with a list of rules, `{"allowed_origins": [], "allowed_methods": [], "allowed_headers":
  [], "expose_headers": [], "max_age_seconds": 0}`; an empty list: no rules.
- `PUT /-/domains/{host}` with `{"bucket": "..."}`: a domain of one's own (CNAME) mapped to a bucket; null: no longer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import web

from localcloud.cors import read_rules
from localcloud.ram import BadPolicy, check_grammar
from localcloud.world import DEFAULT_ACCOUNT, Role, World, role_arn


class Grants:
    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.put("/-/roles/{name}", self.set_role),
            web.put("/-/instance-role", self.set_instance_role),
            web.put("/-/buckets/{name}/cors", self.set_cors),
            web.put("/-/domains/{host}", self.set_domain),
        ]

    async def set_role(self, request: web.Request) -> web.Response:
        arn, wanted = role_arn(request.match_info["name"], DEFAULT_ACCOUNT), await _json(request)
        if not isinstance(wanted, dict) or set(wanted) - {"policy", "trusted"}:
            return _wrong("a role has policy and trusted")
        known = self._world.roles.get(arn, Role(arn))
        policy, trusted = wanted.get("policy", known.policy), wanted.get("trusted", known.trusted)
        try:
            self._world.roles[arn] = replace(
                known, policy=None if policy is None else check_grammar(policy), trusted=bool(trusted)
            )
        except BadPolicy as error:
            return _wrong(str(error))
        return web.json_response({"arn": arn})

    async def set_instance_role(self, request: web.Request) -> web.Response:
        wanted = await _json(request)
        if not isinstance(wanted, dict) or set(wanted) != {"name"} or not isinstance(wanted["name"], str | None):
            return _wrong("name is a text or null")
        self._world.instance_role = wanted["name"]
        return web.json_response(wanted)

    async def set_cors(self, request: web.Request) -> web.Response:
        bucket = self._world.buckets.get(request.match_info["name"])
        if bucket is None:
            return _wrong("there is no such bucket")
        try:
            rules = read_rules(await _json(request))
        except ValueError as error:
            return _wrong(str(error))
        self._world.buckets[bucket.name] = replace(bucket, cors=rules)
        return web.json_response({"rules": len(rules)})

    async def set_domain(self, request: web.Request) -> web.Response:
        host, wanted = request.match_info["host"], await _json(request)
        if not isinstance(wanted, dict) or set(wanted) != {"bucket"} or not isinstance(wanted["bucket"], str | None):
            return _wrong("bucket is a text or null")
        self._world.domains.pop(host, None)
        if wanted["bucket"] is not None:
            self._world.domains[host] = wanted["bucket"]
        return web.json_response({host: wanted["bucket"]})


async def _json(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        return None


def _wrong(why: str) -> web.Response:
    return web.json_response({"error": why}, status=400)
