"""`type: assume_role`: a credential from STS AssumeRole, through the official SDK (help page `AssumeRole`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_sts20150401 import models as sts_models
from alibabacloud_sts20150401.client import Client as StsClient
from alibabacloud_tea_openapi import utils_models
from darabonba.runtime import RuntimeOptions
from Tea.exceptions import TeaException

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.source import FetchFailed, Source
from signer.v4 import Credential

_CONNECT_MILLISECONDS = 3000


@dataclass(frozen=True, slots=True)
class Assumption:
    """What to ask of STS."""

    role_arn: str
    session_name: str
    duration: timedelta
    external_id: str | None = None
    session_policy: str | None = field(default=None, repr=False)


class AssumeRole:
    """`base` gives what STS is called with: an AccessKey, or the credential of another role."""

    def __init__(
        self,
        sdk: SdkThread,
        assumption: Assumption,
        *,
        base: Source,
        endpoint: str,
        deadline_seconds: float,
    ) -> None:
        self._sdk = sdk
        self._assumption = assumption
        self._base = base
        self._endpoint = urlsplit(endpoint)
        self._deadline_seconds = deadline_seconds

    async def fetch(self) -> Credential:
        base = await self._base.fetch()
        return await self._sdk.run(lambda: self._assume(base), deadline_seconds=self._deadline_seconds)

    async def _assume(self, base: Credential) -> Credential:
        client = StsClient(
            utils_models.Config(
                access_key_id=base.access_key_id,
                access_key_secret=base.access_key_secret,
                security_token=base.security_token,
                endpoint=self._endpoint.netloc,
                protocol=self._endpoint.scheme,
            )
        )
        wanted = self._assumption
        request = sts_models.AssumeRoleRequest(
            role_arn=wanted.role_arn,
            role_session_name=wanted.session_name,
            duration_seconds=int(wanted.duration.total_seconds()),
            external_id=wanted.external_id,
            policy=wanted.session_policy,
        )
        # No retries of the SDK's own: it would wait with time.sleep.
        runtime = RuntimeOptions(
            connect_timeout=_CONNECT_MILLISECONDS, read_timeout=int(self._deadline_seconds * 1000), autoretry=False
        )
        try:
            answer: Any = await client.assume_role_with_options_async(request, runtime)
        except TeaException as error:
            raise FetchFailed(_reason(error)) from None
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise FetchFailed(f"STS gave no usable answer ({type(error).__name__})") from None
        return _credential(answer.body)


def _reason(error: TeaException) -> str:
    """STS's own code where there is one; the SDK's other texts may quote requests, so they are left out."""
    code = getattr(error, "code", None)
    if code:
        return f"STS refused: {code} (request {getattr(error, 'request_id', None) or getattr(error, 'requestId', '-')})"
    inner = getattr(error, "inner_exception", None)
    return f"STS gave no usable answer ({type(inner or error).__name__})"


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
