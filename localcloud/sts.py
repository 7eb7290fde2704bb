"""STS: AssumeRole and GetCallerIdentity as the official SDK sends them.

Help pages `AssumeRole` and `V3 request body and signature mechanism`.
"""

from __future__ import annotations

import hmac
import json
import re
import uuid
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import quote

from aiohttp import web

from localcloud.ram import BadPolicy, check_grammar
from localcloud.world import AccessKey, Policy, Role, Token, World, account_of, iso

_ALGORITHM = "ACS3-HMAC-SHA256"
_AUTHORIZATION = re.compile(_ALGORITHM + r" Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})")
_ROLE_ARN = re.compile(r"acs:ram::([0-9]+):role/[\w.@-]+", re.ASCII)
_SESSION_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}", re.ASCII)
_MAX_POLICY_CHARACTERS = 2048
_CLOCK_WINDOW = timedelta(minutes=15)


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


class Sts:
    def __init__(self, world: World) -> None:
        self._world = world
        self._nonces: dict[str, datetime] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/", self.call)]

    async def call(self, request: web.Request) -> web.Response:
        parameters = {**request.query, **await request.post()}
        action = request.headers.get("x-acs-action") or str(parameters.get("Action", ""))
        self._world.counts[f"sts.{action}"] += 1
        request_id = str(uuid.uuid4()).upper()
        texts = {name: str(value) for name, value in parameters.items()}
        try:
            caller = self._authenticate(request, texts, await request.read())
            if action == "AssumeRole":
                body = self._assume_role(caller, texts)
            elif action == "GetCallerIdentity":
                body = {
                    "AccountId": caller.account,
                    "Arn": f"acs:ram::{caller.account}:user/local",
                    "IdentityType": "RAMUser",
                }
            else:
                raise Refused(
                    404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
                )
        except Refused as error:
            answer = {
                "RequestId": request_id,
                "HostId": request.host,
                "Code": error.code,
                "Message": error.message,
                "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}&product=Sts&requestId={request_id}",
            }
            return web.json_response(answer, status=error.status, headers={"x-acs-request-id": request_id})
        return web.json_response({"RequestId": request_id, **body}, headers={"x-acs-request-id": request_id})

    def _authenticate(self, request: web.Request, texts: dict[str, str], body: bytes) -> AccessKey | Token:
        """Checks the V3 header signature over method, path, query, signed headers and the payload's hash."""
        match = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if match is None:
            raise Refused(400, "MissingAccessKeyId", "AccessKeyId is mandatory for this action.")
        key_id, signed_headers, given = match.groups()
        caller = self._caller(key_id, request.headers.get("x-acs-security-token"))
        payload = request.headers.get("x-acs-content-sha256", "")
        if payload != sha256(body).hexdigest():
            raise Refused(400, "IncompleteSignature", "The request signature does not conform to Aliyun standards.")
        names = signed_headers.split(";")
        headers = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in names)
        query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in sorted(request.query.items()))
        canonical = f"{request.method}\n/\n{query}\n{headers}\n{signed_headers}\n{payload}"
        to_sign = f"{_ALGORITHM}\n{sha256(canonical.encode()).hexdigest()}"
        if not hmac.compare_digest(hmac.digest(caller.secret.encode(), to_sign.encode(), sha256).hex(), given):
            raise Refused(400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation.")
        self._check_freshness(request)
        return caller

    def _check_freshness(self, request: web.Request) -> None:
        now = self._world.now("sts")
        try:
            sent = datetime.fromisoformat(request.headers.get("x-acs-date", ""))
            late = abs(now - sent) > _CLOCK_WINDOW
        except (ValueError, TypeError):
            raise Refused(400, "InvalidTimeStamp.Format", "Specified time stamp is not well formatted.") from None
        if late:
            raise Refused(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
        nonce = request.headers.get("x-acs-signature-nonce", "")
        self._nonces = {key: end for key, end in self._nonces.items() if end > now}
        if not nonce or nonce in self._nonces:
            raise Refused(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces[nonce] = now + 2 * _CLOCK_WINDOW

    def _caller(self, key_id: str, security_token: str | None) -> AccessKey | Token:
        if security_token is None and key_id in self._world.access_keys:
            return self._world.access_keys[key_id]
        token = self._world.tokens.get(key_id)
        if token is None:
            raise Refused(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        if token.security_token != security_token:
            raise Refused(400, "MissingSecurityToken", "SecurityToken is mandatory for this action.")
        if token.expiration <= self._world.now("sts"):
            raise Refused(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
        return token

    def _assume_role(self, caller: AccessKey | Token, texts: dict[str, str]) -> dict[str, object]:
        role = self._role(texts.get("RoleArn", ""), caller)
        session_name = texts.get("RoleSessionName", "")
        if not _SESSION_NAME.fullmatch(session_name):
            raise Refused(400, "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.")
        seconds = texts.get("DurationSeconds", "3600")
        if not seconds.isdecimal() or not 900 <= int(seconds) <= role.max_session_seconds:
            raise Refused(400, "InvalidParameter.DurationSeconds", "The Min/Max value of DurationSeconds is 15min/1hr.")
        if role.external_id is not None and texts.get("ExternalId") != role.external_id:
            raise Refused(
                403, "NoPermission", "You are not authorized to do this action. You should be authorized by RAM."
            )
        policies = tuple(each for each in (role.policy, _session_policy(texts.get("Policy"))) if each is not None)
        token = self._world.issue("sts", account=account_of(role.arn), seconds=int(seconds), policies=policies)
        name = role.arn.rpartition("/")[2]
        return {
            "AssumedRoleUser": {
                "Arn": f"acs:ram::{account_of(role.arn)}:role/{name}/{session_name}",
                "AssumedRoleId": f"3{abs(hash(role.arn)) % 10**17:017d}:{session_name}",
            },
            "Credentials": {
                "AccessKeyId": token.id,
                "AccessKeySecret": token.secret,
                "SecurityToken": token.security_token,
                "Expiration": iso(token.expiration),
            },
        }

    def _role(self, arn: str, caller: AccessKey | Token) -> Role:
        if not _ROLE_ARN.fullmatch(arn):
            raise Refused(400, "InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.")
        known = {key.account for key in self._world.access_keys.values()}
        role = self._world.roles.get(arn) or (Role(arn) if account_of(arn) in known else None)
        if role is None:
            raise Refused(404, "EntityNotExist.Role", "The role not exists.")
        return role


def _session_policy(text: str | None) -> Policy | None:
    if text is None:
        return None
    if not 1 <= len(text) <= _MAX_POLICY_CHARACTERS:
        raise Refused(400, "InvalidParameter.PolicySize", "The parameter Policy is too long.")
    try:
        return check_grammar(json.loads(text))
    except (BadPolicy, ValueError):
        raise Refused(
            400, "InvalidParameter.PolicyGrammar", "The parameter Policy has not passed grammar check."
        ) from None


def _encode(text: str) -> str:
    return quote(text, safe="~")
