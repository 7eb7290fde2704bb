"""Verifies the credential, date, token and V4 signature of a form.

See: https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from localcloud import ram
from localcloud.oss_errors import OssError, denied, invalid_argument
from localcloud.world import Bucket, Policy, Token, World

_NO_PERMISSION = "Access denied by authorizer's policy."
_SKEW = timedelta(minutes=15)
_MAX_AGE = timedelta(days=7)
_CREDENTIAL = re.compile(r"([^/]+)/([0-9]{8})/([^/]+)/oss/aliyun_v4_request", re.ASCII)
_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signer:
    """The AccessKey or token that signed a request, and the policies of its role and of its session."""

    secret: str
    policies: tuple[Policy, ...] = ()
    session_policies: tuple[Policy, ...] = ()

    def check_permission(self, action: str, bucket: str, key: str) -> None:
        """Raise AccessDenied if the policy of the role or of the session does not allow the action on an object."""
        self.check_resource(action, f"acs:oss:*:*:{bucket}/{key}")

    def check_resource(self, action: str, resource: str) -> None:
        """Raise AccessDenied if the policy of the role or of the session does not allow the action.

        See: https://help.aliyun.com/zh/oss/user-guide/0003-00000201, .../0003-00000202 and .../0003-00000301
        """
        if ram.denies(self.policies, action, resource):
            raise denied(_NO_PERMISSION, "0003-00000201")
        if not ram.allows(self.policies, action, resource):
            raise denied(_NO_PERMISSION, "0003-00000202")
        if not ram.allows(self.session_policies, action, resource):
            raise denied(_NO_PERMISSION, "0003-00000301")


def verify(world: World, fields: Mapping[str, str], bucket: Bucket) -> Signer:
    """Return the signer. Raise `OssError` as OSS does. `fields` is by lower-case name."""
    if "policy" not in fields:
        raise invalid_argument("The form has no policy.", "0002-00000702", "policy")
    if not fields["policy"]:
        raise invalid_argument("The form's policy is blank.", "0006-00000205", "policy")
    version = fields.get("x-oss-signature-version", "")
    if version != "OSS4-HMAC-SHA256":
        raise invalid_argument("The signature version is invalid.", "0002-00000701", "x-oss-signature-version", version)
    if "x-oss-signature" not in fields:
        raise invalid_argument("The form has no x-oss-signature.", "0002-00000703", "x-oss-signature")
    if not fields["x-oss-signature"]:
        raise invalid_argument("x-oss-signature is blank.", "0002-00000704", "x-oss-signature")
    now = world.now()
    key_id, day, region = _scope(fields.get("x-oss-credential", ""), fields.get("x-oss-date", ""), now)
    if region != bucket.region:
        message = "The signing region in credential is invalid."
        raise invalid_argument(message, "0002-00000715", "x-oss-credential", fields["x-oss-credential"])
    signer = signer_of(world, key_id, fields.get("x-oss-security-token"), now)
    key = ("aliyun_v4" + signer.secret).encode()
    for part in (day, region, "oss", "aliyun_v4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.digest(key, fields["policy"].encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), fields["x-oss-signature"].encode()):
        message = (
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        )
        raise OssError(403, "SignatureDoesNotMatch", message, "0002-00000705")
    return signer


def _scope(credential: str, x_oss_date: str, now: datetime) -> tuple[str, str, str]:
    match = _CREDENTIAL.fullmatch(credential)
    if match is None:
        raise invalid_argument("The credential is invalid.", "0002-00000710", "x-oss-credential", credential)
    key_id, day, region = match.groups()
    try:
        signed_at = datetime.strptime(x_oss_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        signed_at = None
    if signed_at is None or not _DATE.fullmatch(x_oss_date):
        raise invalid_argument("The x-oss-date is invalid.", "0002-00000707", "x-oss-date", x_oss_date)
    if day != x_oss_date[:8]:
        raise invalid_argument("The date in credential is invalid.", "0002-00000709", "x-oss-credential", credential)
    if signed_at - now > _SKEW or now - signed_at > _MAX_AGE:
        message = "The difference between the request time and the current time is too large."
        raise OssError(403, "RequestTimeTooSkewed", message, "0002-00000504")
    return key_id, day, region


def signer_of(world: World, key_id: str, security_token: str | None, now: datetime) -> Signer:
    """Return the owner of a key or token. Raise `OssError` if it is unknown, disabled, expired, or does not match."""
    unknown = OssError(
        403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records.", "0002-00000902"
    )
    if security_token is None:
        key = world.access_keys.get(key_id)
        if key is None:
            raise unknown
        if not key.enabled:
            disabled = "The OSS Access Key Id you provided is disabled."
            raise OssError(403, "InvalidAccessKeyId", disabled, "0002-00000903")
        return Signer(key.secret)
    token: Token | None = world.tokens.get(key_id)
    if token is None and not any(each.security_token == security_token for each in world.tokens.values()):
        raise OssError(403, "InvalidSecurityToken", "The security token you provided is invalid.", "0002-00000006")
    if token is None:
        raise unknown
    if token.security_token != security_token:
        if any(each.security_token == security_token for each in world.tokens.values()):
            message = "The OSS access key id and security token you provided does not match."
            raise OssError(403, "AccessKeyIdAndSecurityTokenNotMatch", message)
        raise OssError(403, "InvalidSecurityToken", "The security token you provided is invalid.", "0002-00000008")
    if token.expiration <= now:
        raise OssError(403, "SecurityTokenExpired", "The security token you provided has expired.", "0002-00000007")
    return Signer(token.secret, world.role_policies_of(token), token.policies)
