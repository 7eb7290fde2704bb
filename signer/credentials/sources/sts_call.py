"""STS through the official SDK: one call, its answer as a credential, its refusals as failures that hold no secret.

Help pages `AssumeRole` and `AssumeRoleWithOIDC`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi import utils_models
from darabonba.runtime import RuntimeOptions
from Tea.exceptions import RetryError, TeaException

from signer.credentials.sources.credential_source import FetchFailed
from signer.signing.v4 import Credential

_CONNECT_MILLISECONDS = 3000


@dataclass(frozen=True, slots=True)
class RoleRequest:
    """What to ask of STS."""

    role_arn: str
    session_name: str
    duration: timedelta
    external_id: str | None = None
    session_policy: str | None = field(default=None, repr=False)


class StsError(FetchFailed):
    """STS said no, with a code of its own; `loud` unless it only wants to be asked less often."""

    def __init__(self, code: str, request_id: str) -> None:
        super().__init__(f"STS refused: {code} (request {request_id})", loud=not code.startswith("Throttling"))
        self.code = code

    @property
    def distrusts_the_key(self) -> bool:
        """Whether it is what the call was signed with that STS does not take."""
        return self.code.startswith(("InvalidAccessKeyId", "InvalidSecurityToken", "MissingSecurityToken"))


def client(endpoint: str, key: Credential | None = None) -> Client:
    """`key` signs the calls; AssumeRoleWithOIDC needs none."""
    url = urlsplit(endpoint)
    config = utils_models.Config(endpoint=url.netloc, protocol=url.scheme)
    if key is not None:
        config.access_key_id, config.access_key_secret = key.access_key_id, key.access_key_secret
        config.security_token = key.security_token
    return Client(config)


async def issued(call: Callable[[RuntimeOptions], Awaitable[Any]], deadline_seconds: float) -> Credential:
    """The credential that `call` is answered with. Raises `FetchFailed`, `StsError` among them."""
    # No retries of the SDK's own: it would wait with time.sleep.
    runtime = RuntimeOptions(
        connect_timeout=_CONNECT_MILLISECONDS, read_timeout=int(deadline_seconds * 1000), autoretry=False
    )
    try:
        answer = await call(runtime)
    except TeaException as error:
        raise _failure(error) from None
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise FetchFailed(f"STS gave no usable answer ({type(error).__name__})") from None
    return _credential(answer.body)


def _failure(error: TeaException) -> FetchFailed:
    """The SDK's own texts may quote requests with their tokens, so only codes and kinds are told."""
    code = getattr(error, "code", None)
    if code and code != "None":
        return StsError(str(code), str(getattr(error, "request_id", None) or getattr(error, "requestId", None) or "-"))
    status = getattr(error, "status_code", None)
    if status:
        return FetchFailed(f"STS answered {status} without saying why")
    inner = getattr(error, "inner_exception", None) or error
    if isinstance(inner, RetryError):
        return FetchFailed("STS does not answer")
    if isinstance(inner, RuntimeError):
        return FetchFailed("what answered is not STS: no JSON of its kind, perhaps a proxy's page")
    return FetchFailed(f"STS gave no usable answer ({type(inner).__name__})")


def _credential(body: Any) -> Credential:
    try:
        given = body.credentials
        expiration = datetime.fromisoformat(given.expiration)
        credential = Credential(given.access_key_id, given.access_key_secret, given.security_token, expiration)
    except (AttributeError, TypeError, ValueError):
        raise FetchFailed("STS answered without a credential") from None
    if not (credential.access_key_id and credential.access_key_secret and credential.security_token):
        raise FetchFailed("STS gave an incomplete credential")
    return credential
