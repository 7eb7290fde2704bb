"""Alipay's gateway for the servers of mini-programs: alipay.system.oauth.token, on the server of WeChat.

See: https://opendocs.alipay.com/apis/api_9/alipay.system.oauth.token and https://opendocs.alipay.com/common/02km9f

Tests play the phone under `/-/`, on each of the local cloud's servers:
- `PUT /-/alipay/apps/{app_id}` with `{"public_key": "PEM"}` creates an app, or changes its key. With `"open_id": false`
  it is an older app, whose users have a user_id.
- `POST /-/alipay/codes` with `{"app_id": "...", "user": "any name"}` is this user's my.getAuthCode and responds
  `{"code": "..."}`, valid once, for 24 hours.

| code  | sub_code                                  | when                                                     |
|-------|-------------------------------------------|----------------------------------------------------------|
| 40001 | isv.missing-app-id, -method, -signature … | a public parameter is missing                            |
| 40002 | isv.invalid-app-id                        | an app that does not exist                               |
| 40002 | isv.invalid-signature                     | the signature is not that of the app's key               |
| 40002 | isv.invalid-timestamp                     | a timestamp that is not as 2026-01-01 12:00:00           |
| 40002 | isv.grant-type-invalid                    | a grant_type that does not exist                         |
| 40002 | isv.code-invalid                          | a code that was never issued, was used, or is too old    |
| 40002 | isv.unmatched-app-id                      | a code of another app                                    |
| 20000 | aop.unknow-error                          | the fault `throttling`                                   |

Other methods, `refresh_token`, `app_auth_token`, certificates, encryption, and other signatures, charsets, formats and
versions have status 501. The age of a timestamp is not checked, as it is not documented. Responses are not signed.
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from aiohttp import web
from cachetools import FIFOCache
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from localcloud.control_json import bad_request, read_json
from localcloud.form_parameters import parameters_of
from localcloud.world import World

PATH = "/gateway.do"
_METHOD = "alipay.system.oauth.token"
_APP_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
_CODE_LIFETIME = timedelta(hours=24)
_MAX_CODES = 100_000
_REQUIRED = {
    "app_id": "isv.missing-app-id",
    "method": "isv.missing-method",
    "sign": "isv.missing-signature",
    "sign_type": "isv.missing-signature-type",
    "timestamp": "isv.missing-timestamp",
    "version": "isv.missing-version",
}
_IMPLEMENTED = {
    "method": (_METHOD,),
    "sign_type": ("RSA2",),
    "version": ("1.0",),
    "format": ("JSON", "json"),
    "charset": ("utf-8", "UTF-8", "utf8"),
    "app_auth_token": (),
    "encrypt_type": (),
    "app_cert_sn": (),
    "alipay_root_cert_sn": (),
}
"""The values of parameters that have other values, too."""


@dataclass(frozen=True, slots=True)
class _App:
    public_key: RSAPublicKey
    open_id: bool


@dataclass(slots=True)
class _Code:
    app_id: str
    user: str
    given_at: datetime


class Alipay:
    def __init__(self, world: World) -> None:
        self._world = world
        self._apps: dict[str, _App] = {}
        self._codes: FIFOCache[str, _Code] = FIFOCache(_MAX_CODES)
        """The codes that were not used."""

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.execute)]

    def control_routes(self) -> list[web.RouteDef]:
        return [web.put("/-/alipay/apps/{app_id}", self.set_app), web.post("/-/alipay/codes", self.log_in)]

    async def named(self, request: web.Request) -> tuple[str, str]:
        """Return the action and the app, for `/-/calls`."""
        if request.path != PATH:
            return "", ""
        return "alipayOauthToken", (await parameters_of(request)).get("app_id", "")

    async def execute(self, request: web.Request) -> web.Response:
        self._world.counts["wechat.alipayOauthToken"] += 1
        given = await parameters_of(request)
        for name, sub_code in _REQUIRED.items():
            if not given.get(name):
                return _error("40001", "Missing Required Arguments", sub_code)
        for name, value in given.items():
            if value and value not in _IMPLEMENTED.get(name, (value,)):
                return web.json_response({"error": f"this {name} is not implemented"}, status=501)
        app = self._apps.get(given["app_id"])
        if app is None:
            return _invalid("isv.invalid-app-id")
        if not _is_signed(given, app.public_key):
            return _invalid("isv.invalid-signature")
        if not _TIMESTAMP.fullmatch(given["timestamp"]):
            return _invalid("isv.invalid-timestamp")
        if given.get("grant_type") == "refresh_token":
            return web.json_response({"error": "refresh_token is not implemented"}, status=501)
        if given.get("grant_type") != "authorization_code":
            return _invalid("isv.grant-type-invalid")
        return self._token(given["app_id"], app, given.get("code", ""))

    def _token(self, app_id: str, app: _App, text: str) -> web.Response:
        code = self._codes.get(text)
        if code is None or self._world.now() - code.given_at > _CODE_LIFETIME:
            return _invalid("isv.code-invalid")
        if code.app_id != app_id:
            return _invalid("isv.unmatched-app-id")
        del self._codes[text]
        digest = sha256(f"{app_id if app.open_id else ''}\n{code.user}".encode(errors="surrogatepass")).hexdigest()
        # A user_id has 16 digits, the first of them 2088.
        user = {"open_id": digest} if app.open_id else {"user_id": f"2088{int(digest, 16) % 10**12:012}"}
        tokens = {
            "access_token": secrets.token_hex(20),
            "expires_in": "3600",
            "refresh_token": secrets.token_hex(20),
            "re_expires_in": "3600",
        }
        return web.json_response({"alipay_system_oauth_token_response": {**user, **tokens}})

    async def set_app(self, request: web.Request) -> web.Response:
        app_id, body = request.match_info["app_id"], await read_json(request)
        if not (_APP_ID.fullmatch(app_id) and isinstance(body, dict) and set(body) <= {"public_key", "open_id"}):
            return bad_request("an app_id consists of letters, digits, _ and -; the members are public_key and open_id")
        public_key, open_id = body.get("public_key"), body.get("open_id", True)
        try:
            key = load_pem_public_key(public_key.encode()) if isinstance(public_key, str) else None
        except ValueError:
            key = None
        if not (isinstance(key, RSAPublicKey) and isinstance(open_id, bool)):
            return bad_request("public_key must be an RSA key in PEM, open_id true or false")
        status = 200 if app_id in self._apps else 201
        self._apps[app_id] = _App(key, open_id)
        return web.json_response({"app_id": app_id}, status=status)

    async def log_in(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if not (isinstance(body, dict) and set(body) == {"app_id", "user"}):
            return bad_request("the members are app_id and user")
        app_id, user = body["app_id"], body["user"]
        if not (isinstance(app_id, str) and isinstance(user, str) and user):
            return bad_request("app_id and user must be texts")
        if app_id not in self._apps:
            return bad_request("there is no such app; create it with PUT /-/alipay/apps/{app_id}")
        text = secrets.token_hex(16)
        self._codes[text] = _Code(app_id, user, self._world.now())
        return web.json_response({"code": text}, status=201)


def busy_response() -> web.Response:
    return _error("20000", "Service Currently Unavailable", "aop.unknow-error")


def _is_signed(given: dict[str, str], key: RSAPublicKey) -> bool:
    text = "&".join(f"{name}={given[name]}" for name in sorted(given) if name != "sign" and given[name])
    try:
        key.verify(base64.b64decode(given["sign"]), text.encode(), PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True


def _invalid(sub_code: str) -> web.Response:
    return _error("40002", "Invalid Arguments", sub_code)


def _error(code: str, msg: str, sub_code: str) -> web.Response:
    return web.json_response({"error_response": {"code": code, "msg": msg, "sub_code": sub_code, "sub_msg": sub_code}})
