"""`type: ecs_ram_role`: the credential of the RAM role that is attached to this ECS instance.

It uses only the hardened mode (v2): first a metadata token, then with it the credential.

See: https://help.aliyun.com/zh/ecs/user-guide/view-instance-metadata
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from alibabacloud_credentials.exceptions import CredentialException
from alibabacloud_credentials.http import HttpOptions
from alibabacloud_credentials.provider.ecs_ram_role import EcsRamRoleCredentialsProvider
from Tea.exceptions import RetryError

from signer.credentials.sdk_patches import set_metadata_host
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.connection_failure import connection_failed
from signer.credentials.sources.credential_source import FetchFailed
from signer.credentials.sources.metadata_refusal import token_refusal
from signer.signing.v4 import Credential

METADATA_HOST = "100.100.100.200"
_REQUEST_TIMEOUT_MILLISECONDS = 2000
_DISABLED = "ALIBABA_CLOUD_ECS_METADATA_DISABLED forbids the metadata service; remove it from the environment"
_TOKEN_REFUSED = "Failed to get token"  # noqa: S105
"""The start of the SDK's message if the request for a metadata token failed."""
_INVALID = "the metadata service sent an invalid credential"
_BAD_EXPIRATION = "the metadata service sent a credential whose Expiration is not like 2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsRamRoleSource:
    """Fetches the credential from the metadata service; without a role name, that of the attached role."""

    sdk: SdkThread
    endpoint: str
    role_name: str | None
    deadline_seconds: float

    async def fetch(self) -> Credential:
        host = urlsplit(self.endpoint).netloc
        service = f"the metadata service at {host}"
        return await self.sdk.run(
            lambda: self._fetch(host, service), deadline_seconds=self.deadline_seconds, service=service
        )

    async def _fetch(self, host: str, service: str) -> Credential:
        try:
            issued: Any = await self._new_provider(host).get_credentials_async()
            expiration = datetime.fromtimestamp(issued.get_expiration(), UTC)
        except CredentialException as error:
            raise _explained(str(error.message), service) from None
        except (RetryError, OSError, aiohttp.ClientError) as error:
            failed = await connection_failed(error, service)
            reason = f"{service} sent an invalid response ({type(error).__name__})"
            raise failed or FetchFailed(reason, concerns_issuer=True) from None
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            if "disabled" in str(error):
                raise FetchFailed(_DISABLED, needs_operator=True, concerns_issuer=True) from None
            is_of_expiration = "does not match format" in str(error) or "unconverted data" in str(error)
            raise FetchFailed(_BAD_EXPIRATION if is_of_expiration else _INVALID, concerns_issuer=True) from None
        credential = Credential(
            issued.get_access_key_id(), issued.get_access_key_secret(), issued.get_security_token(), expiration
        )
        if not (credential.access_key_id and credential.access_key_secret and credential.security_token):
            raise FetchFailed("the metadata service sent an incomplete credential", concerns_issuer=True)
        return credential

    def _new_provider(self, host: str) -> EcsRamRoleCredentialsProvider:
        """Return a provider for one fetch: its cache would return expired credentials during an outage."""
        http = HttpOptions(connect_timeout=_REQUEST_TIMEOUT_MILLISECONDS, read_timeout=_REQUEST_TIMEOUT_MILLISECONDS)
        provider = EcsRamRoleCredentialsProvider(
            role_name=self.role_name or None, disable_imds_v1=True, http_options=http, async_update_enabled=False
        )
        if host != METADATA_HOST:
            set_metadata_host(provider, host)
        return provider


def _explained(sdk_message: str, service: str) -> FetchFailed:
    """Return what an error message of the SDK means and how to fix it; nothing of it but a status is quoted."""
    if "cached value" in sdk_message:
        return FetchFailed(
            "the metadata service sent a credential that has expired; check the clocks", concerns_issuer=True
        )
    match = re.search(r"HttpCode=([0-9]{3})", sdk_message)
    if match is None:
        return FetchFailed(_INVALID, concerns_issuer=True)
    status = int(match[1])
    if sdk_message.startswith(_TOKEN_REFUSED) and status < 500:
        what, fix = token_refusal(status)
        return FetchFailed(f"{service} {what}; {fix}", needs_operator=True, concerns_issuer=True)
    if status == 404:
        reason = "the metadata service has no such role; attach a RAM role to this instance"
        return FetchFailed(reason, needs_operator=True, concerns_issuer=True)
    return FetchFailed(f"the metadata service responded with status {status}", concerns_issuer=True)
