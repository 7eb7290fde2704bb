"""The control API for roles, the metadata service, CORS rules and custom domains, on each server:

- `PUT /-/roles/{name}` with any of `{"policy": {...}, "trust_policy": {...}, "trusted": true}`: the RAM policy of a
  role of the first account (null: it allows everything), its trust policy (null: it trusts everybody), and whether
  callers may assume it at all. The policy applies at once, also to issued tokens.
- `PUT /-/instance-role` with `{"name": "..."}`: the role attached to the instance; null: none.
- `PUT /-/metadata-token` with `{"status": 404}`: the metadata service has only the normal mode (v1); 405: a proxy in
  front of it forwards only GET; null: it issues tokens.
- `PUT /-/buckets/{name}/cors` with a list of rules, `{"allowed_origins": [], "allowed_methods": [], "allowed_headers":
  [], "expose_headers": [], "max_age_seconds": 0}`; an empty list: no rules.
- `PUT /-/domains/{host}` with `{"bucket": "..."}`: a custom domain (CNAME) of a bucket; null removes it.
"""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from localcloud.control_json import bad_request, read_json
from localcloud.cors import parse_rules
from localcloud.ram import BadPolicy, check_grammar
from localcloud.trust import check_trust_grammar
from localcloud.world import DEFAULT_ACCOUNT, Role, World, role_arn


class Grants:
    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.put("/-/roles/{name}", self.set_role),
            web.put("/-/instance-role", self.set_instance_role),
            web.put("/-/metadata-token", self.set_metadata_token),
            web.put("/-/buckets/{name}/cors", self.set_cors),
            web.put("/-/domains/{host}", self.set_domain),
        ]

    async def set_role(self, request: web.Request) -> web.Response:
        arn, body = role_arn(request.match_info["name"], DEFAULT_ACCOUNT), await read_json(request)
        if not isinstance(body, dict) or set(body) - {"policy", "trust_policy", "trusted"}:
            return bad_request("the members are policy, trust_policy and trusted")
        known = self._world.roles.get(arn, Role(arn))
        policy, trust_policy = body.get("policy", known.policy), body.get("trust_policy", known.trust_policy)
        try:
            self._world.roles[arn] = replace(
                known,
                policy=None if policy is None else check_grammar(policy),
                trust_policy=None if trust_policy is None else check_trust_grammar(trust_policy),
                trusted=bool(body.get("trusted", known.trusted)),
            )
        except BadPolicy as error:
            return bad_request(str(error))
        return web.json_response({"arn": arn})

    async def set_instance_role(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if not isinstance(body, dict) or set(body) != {"name"} or not isinstance(body["name"], str | None):
            return bad_request("name must be a text or null")
        self._world.instance_role = body["name"]
        return web.json_response(body)

    async def set_metadata_token(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if not isinstance(body, dict) or set(body) != {"status"} or body["status"] not in (404, 405, None):
            return bad_request("status must be 404, 405 or null")
        self._world.metadata_token_status = body["status"]
        return web.json_response(body)

    async def set_cors(self, request: web.Request) -> web.Response:
        bucket = self._world.buckets.get(request.match_info["name"])
        if bucket is None:
            return bad_request("there is no such bucket")
        try:
            rules = parse_rules(await read_json(request))
        except ValueError as error:
            return bad_request(str(error))
        self._world.buckets[bucket.name] = replace(bucket, cors=rules)
        return web.json_response({"rules": len(rules)})

    async def set_domain(self, request: web.Request) -> web.Response:
        host, body = request.match_info["host"], await read_json(request)
        if not isinstance(body, dict) or set(body) != {"bucket"} or not isinstance(body["bucket"], str | None):
            return bad_request("bucket must be a text or null")
        self._world.domains.pop(host, None)
        if body["bucket"] is not None:
            self._world.domains[host] = body["bucket"]
        return web.json_response({host: body["bucket"]})
