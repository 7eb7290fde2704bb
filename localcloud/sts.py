"""STS as the official SDK calls it: AssumeRole, GetCallerIdentity and AssumeRoleWithOIDC."""

from __future__ import annotations

import uuid

from aiohttp import web

from localcloud.assume_role import assume_role
from localcloud.caller_identity import caller_identity
from localcloud.form_parameters import parameters_of
from localcloud.oidc import assume_role_with_oidc
from localcloud.sts_errors import StsError, refusal_response
from localcloud.sts_signature import Authenticator
from localcloud.world import World

_VERSION = "2015-04-01"
_NOT_IMPLEMENTED = frozenset({"AssumeRoleWithSAML", "SourceIdentity"})
"""Actions and parameters of the real STS. It ignores unknown parameters."""


class Sts:
    def __init__(self, world: World) -> None:
        self._world = world
        self._authenticator = Authenticator(world)

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/", self.call)]

    async def named(self, request: web.Request) -> tuple[str, str]:
        """Return the action and the role ARN, for `/-/calls`."""
        parameters = await parameters_of(request)
        return _action(request, parameters), parameters.get("RoleArn", "")

    async def call(self, request: web.Request) -> web.Response:
        parameters = await parameters_of(request)
        action = _action(request, parameters)
        self._world.counts[f"sts.{action}"] += 1
        request_id = str(uuid.uuid4()).upper()
        try:
            body = self._run(action, parameters, request, await request.read())
        except StsError as error:
            return refusal_response(error, request_id, request.host)
        return web.json_response({"RequestId": request_id, **body}, headers={"x-acs-request-id": request_id})

    def _run(self, action: str, parameters: dict[str, str], request: web.Request, body: bytes) -> dict[str, object]:
        for name in _NOT_IMPLEMENTED & {action, *parameters}:
            raise StsError(501, "NotImplemented", f"{name} is not implemented by the local cloud.")
        if _version(request, parameters) != _VERSION:
            raise StsError(400, "InvalidVersion", "Specified parameter Version is not valid.")
        if action == "AssumeRoleWithOIDC":
            return assume_role_with_oidc(self._world, parameters)
        caller = self._authenticator.caller(request, parameters, body)
        if action == "AssumeRole":
            return assume_role(self._world, caller, parameters)
        if action == "GetCallerIdentity":
            return caller_identity(caller)
        message = "Specified api is not found, please check your url and method."
        raise StsError(404, "InvalidAction.NotFound", message)


def _version(request: web.Request, parameters: dict[str, str]) -> str:
    return request.headers.get("x-acs-version") or parameters.get("Version", "")


def _action(request: web.Request, parameters: dict[str, str]) -> str:
    return request.headers.get("x-acs-action") or parameters.get("Action", "")
