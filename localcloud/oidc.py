"""AssumeRoleWithOIDC, as pods of ACK call it with the token of their service account.

The token's signature is NOT verified: there is no issuer whose keys could be fetched, so anyone can make a valid token.
Its format, expiration, audience and subject are checked. The error for a wrong OIDCProviderArn is known from responses
of the real STS.

Every provider of a known account exists, and a role without a trust policy trusts the providers of its account for all
service accounts.
See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerolewithoidc
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localcloud.assume_role import checked_session, issue_token, known_role
from localcloud.sts_errors import StsError
from localcloud.trust import trusts
from localcloud.world import World, account_of, iso

_PROVIDER_ARN = re.compile(r"acs:ram::([0-9]+):oidc-provider/[\w.-]+", re.ASCII)
_SUBJECT = re.compile(r"system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+", re.ASCII)
_AUDIENCE = "sts.aliyuncs.com"
_MAX_TOKEN_CHARACTERS = 20_000
_LAST_EXP = datetime.max.replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token; a missing issuer or time of issue is empty."""

    subject: str
    issuer: str
    audiences: list[str]
    expires_at: datetime
    issued_at: datetime | None


def assume_role_with_oidc(world: World, parameters: dict[str, str]) -> dict[str, object]:
    """Return the response body without RequestId. Raise `StsError` as STS does."""
    provider = _PROVIDER_ARN.fullmatch(parameters.get("OIDCProviderArn", ""))
    if provider is None:
        raise _no_permission("Parameter OIDCProviderArn is not valid")
    if not world.has_account(provider[1]):
        raise _no_permission("No such OIDC Provider registered.")
    claims = _claims(parameters.get("OIDCToken", ""))
    if claims.expires_at <= world.now():
        raise StsError(401, "AuthenticationFail.OIDCToken.Expired", "This JsonWebToken is expired.")
    if _AUDIENCE not in claims.audiences:
        raise StsError(401, "AuthenticationFail.OIDCToken.AudienceNotMatch", "Invalid audience.")
    role = known_role(world, parameters)
    values = {"oidc:aud": _AUDIENCE, "oidc:sub": claims.subject, "oidc:iss": claims.issuer}
    if (
        account_of(role.arn) != provider[1]
        or not _SUBJECT.fullmatch(claims.subject)
        or not trusts(role.trust_policy, "Federated", provider[0], values)
    ):
        raise _no_permission("There is no permission")
    info = {
        "Subject": claims.subject,
        "Issuer": claims.issuer,
        "ClientIds": ",".join(claims.audiences),
        "ExpirationTime": iso(claims.expires_at),
        "IssuanceTime": "" if claims.issued_at is None else iso(claims.issued_at),
        "VerificationInfo": "Success",
    }
    return {"OIDCTokenInfo": info, **issue_token(world, role, *checked_session(role, parameters))}


def _claims(token: str) -> Claims:
    if not token:
        raise _invalid("The OIDCToken can not empty.")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise _invalid("The number of Jwt field should be divided into 3 parts with '.' .")
    try:
        text = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise _invalid("Cannot decode base64 encoded response(format invalided).") from None
    try:
        claims = _parse(json.loads(text))
    except (ValueError, RecursionError):
        claims = None
    if claims is None or len(token) > _MAX_TOKEN_CHARACTERS:
        raise _invalid("The Jwt content is invalid that cannot be recognized.")
    return claims


def _parse(payload: Any) -> Claims | None:
    if not isinstance(payload, dict):
        return None
    audiences = payload.get("aud")
    audiences = audiences if isinstance(audiences, list) else [audiences]
    subject, issuer = payload.get("sub"), payload.get("iss", "")
    expires_at, issued_at = _moment(payload.get("exp")), _moment(payload.get("iat"))
    if expires_at is None or not all(isinstance(each, str) for each in (subject, issuer, *audiences)):
        return None
    return Claims(str(subject), issuer, audiences, expires_at, issued_at)


def _moment(value: Any) -> datetime | None:
    """Parse a NumericDate of RFC 7519."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LAST_EXP:
        return None
    return datetime.fromtimestamp(value, UTC)


def _no_permission(message: str) -> StsError:
    return StsError(401, "AuthenticationFail.NoPermission", message)


def _invalid(message: str) -> StsError:
    return StsError(401, "AuthenticationFail.OIDCToken.Invalid", message)
