"""Calls of STS through the official SDK: the request, the issued credential, and errors without secrets.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi import utils_models
from darabonba.runtime import RuntimeOptions
from Tea.exceptions import TeaException

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.connection_failure import connection_failed
from signer.credentials.sources.credential_source import FetchFailed
from signer.signing.v4 import Credential

_CONNECT_TIMEOUT_MILLISECONDS = 3000
_KEY_REJECTED = ("InvalidAccessKeyId", "InvalidSecurityToken", "MissingSecurityToken")
_OF_ANY_ROLE = (
    *_KEY_REJECTED,
    *("SignatureDoesNotMatch", "IncompleteSignature", "InvalidTimeStamp"),
    *("Throttling", "ServiceUnavailable", "InternalError"),
)
"""Starts of the error codes that calls for other roles with the same key get too."""
StsCall = Callable[[Client, RuntimeOptions], Awaitable[Any]]
"""A method of the SDK's client with its request; it runs in the SDK thread."""


@dataclass(frozen=True, slots=True)
class RoleRequest:
    """What to request from STS."""

    role_arn: str
    session_name: str
    duration: timedelta
    session_policy: str | None = field(default=None, repr=False)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that AssumeRole and AssumeRoleWithOIDC share."""
        return {
            "role_arn": self.role_arn,
            "role_session_name": self.session_name,
            "duration_seconds": int(self.duration.total_seconds()),
            "policy": self.session_policy,
        }


class StsRejected(FetchFailed):
    """STS rejected the call with an error code. An operator has to act, unless STS only throttles."""

    def __init__(self, code: str, request_id: str) -> None:
        throttled = code.startswith("Throttling")
        super().__init__(
            f"STS rejected the call: {code} (request id {request_id})",
            needs_operator=not throttled,
            concerns_issuer=code.startswith(_OF_ANY_ROLE),
        )
        self.code = code

    @property
    def is_key_rejected(self) -> bool:
        """Whether STS rejected the credential that the call was signed with."""
        return self.code.startswith(_KEY_REJECTED)


@dataclass(frozen=True, slots=True)
class Sts:
    """Calls STS at one endpoint, in the SDK thread."""

    sdk: SdkThread
    endpoint: str
    deadline_seconds: float

    async def issue(self, call: StsCall, key: Credential | None = None) -> Credential:
        """Return the credential that a call of STS issues, or raise `FetchFailed`; the call is signed with `key`."""
        service = f"STS at {urlsplit(self.endpoint).netloc}"
        return await self.sdk.run(
            lambda: self._issue(call, key, service), deadline_seconds=self.deadline_seconds, service=service
        )

    async def _issue(self, call: StsCall, key: Credential | None, service: str) -> Credential:
        url = urlsplit(self.endpoint)
        config = utils_models.Config(endpoint=url.netloc, protocol=url.scheme)
        if key is not None:
            config.access_key_id, config.access_key_secret = key.access_key_id, key.access_key_secret
            config.security_token = key.security_token
        # The SDK's own retries would block the loop with time.sleep.
        read_timeout = int(self.deadline_seconds * 1000)
        runtime = RuntimeOptions(
            connect_timeout=_CONNECT_TIMEOUT_MILLISECONDS, read_timeout=read_timeout, autoretry=False
        )
        try:
            response = await call(Client(config), runtime)
        except FetchFailed:
            raise
        except Exception as error:
            failed = await connection_failed(error, service)
            raise failed or _fetch_failed(error) from None
        return _credential(response.body)


def _fetch_failed(error: Exception) -> FetchFailed:
    """Return an error with codes and types only: the SDK's texts can quote requests and their tokens."""
    code = getattr(error, "code", None)
    if code and code != "None":
        request_id = getattr(error, "request_id", None) or getattr(error, "requestId", None) or "-"
        return StsRejected(str(code), str(request_id))
    status = getattr(error, "status_code", None)
    if status:
        return FetchFailed(f"STS responded with status {status} and no error code", concerns_issuer=True)
    inner = getattr(error, "inner_exception", None) or error
    if isinstance(error, TeaException) and isinstance(inner, RuntimeError):
        reason = "the response is not from STS: it is not JSON; check the endpoint and proxies"
    else:
        reason = f"STS sent an invalid response ({type(inner).__name__})"
    return FetchFailed(reason, concerns_issuer=True)


def _credential(body: Any) -> Credential:
    try:
        issued = body.credentials
        key_id, secret, token = issued.access_key_id, issued.access_key_secret, issued.security_token
        expiration = issued.expiration
    except AttributeError:
        raise FetchFailed("STS sent a response without a credential", concerns_issuer=True) from None
    if not (key_id and secret and token):
        raise FetchFailed("STS sent an incomplete credential", concerns_issuer=True)
    return Credential(key_id, secret, token, _expiration(expiration))


def _expiration(text: Any) -> datetime:
    """Return the time in UTC, which STS means also where it writes no time zone."""
    try:
        expiration = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        reason = "STS sent a credential whose Expiration is not a time like 2026-01-01T00:00:00Z; check the endpoint"
        raise FetchFailed(reason, concerns_issuer=True) from None
    return expiration.replace(tzinfo=UTC) if expiration.tzinfo is None else expiration
