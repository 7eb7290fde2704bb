"""Verifies the signatures of calls to STS: V3 in headers here, RPC in sts_rpc_signature.py.

See: https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote

from aiohttp import web
from cachetools import TTLCache

from localcloud.sts_errors import StsError
from localcloud.sts_rpc_signature import check_rpc_signature, is_rpc
from localcloud.world import AccessKey, Token, World

_ALGORITHM = "ACS3-HMAC-SHA256"
_AUTHORIZATION = re.compile(_ALGORITHM + r" Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})")
_CLOCK_WINDOW = timedelta(minutes=15)
_MAX_NONCES = 100_000


class Authenticator:
    def __init__(self, world: World) -> None:
        self._world = world
        # A request is valid as long as its date is, which may be as far ahead as behind.
        self._nonces: TTLCache[str, None, float] = TTLCache(_MAX_NONCES, 2 * _CLOCK_WINDOW.total_seconds())

    def caller(self, request: web.Request, parameters: Mapping[str, str], body: bytes) -> AccessKey | Token:
        """Return the caller by either signature. Raise `StsError` as STS does."""
        if "Authorization" not in request.headers and is_rpc(parameters):
            return self._rpc_caller(request.method, parameters)
        return self._header_caller(request, body)

    def _rpc_caller(self, method: str, parameters: Mapping[str, str]) -> AccessKey | Token:
        if not parameters.get("AccessKeyId"):
            raise StsError(400, "MissingAccessKeyId", "AccessKeyId is mandatory for this action.")
        caller = self._known(parameters["AccessKeyId"], parameters.get("SecurityToken"))
        check_rpc_signature(method, parameters, caller.secret)
        self._check_freshness(parameters.get("Timestamp", ""), parameters.get("SignatureNonce", ""))
        return caller

    def _header_caller(self, request: web.Request, body: bytes) -> AccessKey | Token:
        """Verify the signature over method, path, query, headers and payload."""
        match = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if match is None:
            raise StsError(400, "MissingAccessKeyId", "AccessKeyId is mandatory for this action.")
        key_id, signed_headers, given = match.groups()
        caller = self._known(key_id, request.headers.get("x-acs-security-token"))
        payload = request.headers.get("x-acs-content-sha256", "")
        if payload != sha256(body).hexdigest():
            raise StsError(400, "IncompleteSignature", "The request signature does not conform to Aliyun standards.")
        names = signed_headers.split(";")
        if _must_be_signed(request) - set(names):
            raise StsError(400, "IncompleteSignature", "The request signature does not conform to Aliyun standards.")
        headers = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in names)
        query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in sorted(request.query.items()))
        canonical = f"{request.method}\n/\n{query}\n{headers}\n{signed_headers}\n{payload}"
        to_sign = f"{_ALGORITHM}\n{sha256(canonical.encode()).hexdigest()}"
        if not hmac.compare_digest(hmac.digest(caller.secret.encode(), to_sign.encode(), sha256).hex(), given):
            raise StsError(400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation.")
        headers_sent = request.headers
        self._check_freshness(headers_sent.get("x-acs-date", ""), headers_sent.get("x-acs-signature-nonce", ""))
        return caller

    def _check_freshness(self, date: str, nonce: str) -> None:
        try:
            sent = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            late = abs(self._world.now() - sent) > _CLOCK_WINDOW
        except ValueError:
            raise StsError(400, "InvalidTimeStamp.Format", "Specified time stamp is not well formatted.") from None
        if late:
            raise StsError(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
        if not nonce or nonce in self._nonces:
            raise StsError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces[nonce] = None

    def _known(self, key_id: str, security_token: str | None) -> AccessKey | Token:
        """Return the owner of the key or token. Codes and statuses are those of STS and the API gateway."""
        key = self._world.access_keys.get(key_id)
        if security_token is None and key is not None:
            if not key.enabled:
                raise StsError(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
            return key
        token = self._world.tokens.get(key_id)
        if token is None:
            raise StsError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        if token.security_token != security_token:
            raise StsError(400, "MissingSecurityToken", "SecurityToken is mandatory for this action.")
        if token.expiration <= self._world.now():
            raise StsError(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
        return token


def _must_be_signed(request: web.Request) -> set[str]:
    """Return the names of the headers that a signature has to cover, in lower case."""
    return {"host", *(name.lower() for name in request.headers if name.lower().startswith("x-acs-"))}


def _encode(text: str) -> str:
    return quote(text, safe="~")
