"""`type: alipay`: users of an Alipay mini-program, by the authCode of my.getAuthCode.

See: https://opendocs.alipay.com/apis/api_9/alipay.system.oauth.token
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from signer.callers.alipay_key import sign_parameters
from signer.callers.code_login import MAX_RESPONSE_BYTES, CodeLogin, PlatformUnavailable
from signer.errors import Problem
from signer.outbound import fetch_document

_PATH = "/gateway.do"
_METHOD = "alipay.system.oauth.token"
_CHINA = timezone(timedelta(hours=8))
_BUSY = "20000"


@dataclass(eq=False, slots=True, kw_only=True)
class AlipayCheck(CodeLogin):
    """Identifies users by their open_id, or by the user_id of older apps, whose responses have no open_id."""

    platform: ClassVar[str] = "Alipay"
    login_call: ClassVar[str] = "my.getAuthCode"

    private_key: RSAPrivateKey = field(repr=False)
    """The app's private key, whose public key is registered at Alipay."""

    async def request_user(self, code: str) -> bytes:
        form = {
            "app_id": self.app_id,
            "method": _METHOD,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": datetime.now(UTC).astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S"),
            "version": "1.0",
            "grant_type": "authorization_code",
            "code": code,
        }
        form["sign"] = sign_parameters(self.private_key, form)
        url = self.endpoint.rstrip("/") + _PATH
        return await fetch_document(self.outbound, url, form=form, max_bytes=MAX_RESPONSE_BYTES)

    def read_user(self, response: dict[str, Any]) -> str:
        error = response.get("error_response")
        if isinstance(error, dict):
            raise self._problem(error)
        found = response.get("alipay_system_oauth_token_response")
        user = (found.get("open_id") or found.get("user_id")) if isinstance(found, dict) else None
        if not (isinstance(user, str) and user):
            raise PlatformUnavailable("no answer")
        return user

    def _problem(self, error: dict[str, Any]) -> Problem | PlatformUnavailable:
        errcode = error.get("sub_code") or error.get("code")
        match errcode:
            case _ if error.get("code") == _BUSY:
                return PlatformUnavailable("busy")
            case "isp.unknow-error" | "aop.unknow-error":
                return PlatformUnavailable("busy")
            case "isv.code-invalid" | "isv.unmatched-app-id":
                return self.code_problem("the code is invalid, too old or was already used")
            case "isv.invalid-app-id" | "isv.invalid-signature" | "isv.missing-signature-key":
                wrong = "this app's id or signature; its operator must fix app_id, private_key or the key at Alipay"
                return self.app_problem(errcode, wrong)
        return self.app_problem(errcode)
