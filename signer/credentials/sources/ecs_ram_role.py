"""`type: ecs_ram_role`: the credential of the role attached to this ECS instance.

Help page `ECS instance metadata`, hardened mode: a metadata token first, then the role's credential with it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from alibabacloud_credentials.exceptions import CredentialException
from alibabacloud_credentials.http import HttpOptions
from alibabacloud_credentials.provider.ecs_ram_role import EcsRamRoleCredentialsProvider
from Tea.exceptions import RetryError

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import FetchFailed
from signer.signing.v4 import Credential

METADATA_HOST = "100.100.100.200"
_STEP_MILLISECONDS = 2000


class EcsRamRoleSource:
    def __init__(self, sdk: SdkThread, *, endpoint: str, role_name: str | None, deadline_seconds: float) -> None:
        self._sdk = sdk
        self._host = urlsplit(endpoint).netloc
        self._role_name = role_name or None
        self._deadline_seconds = deadline_seconds

    async def fetch(self) -> Credential:
        return await self._sdk.run(self._fetch, deadline_seconds=self._deadline_seconds)

    async def _fetch(self) -> Credential:
        try:
            # A provider for each fetch: its own cache hands out ended tokens when the metadata service is away.
            provider = EcsRamRoleCredentialsProvider(
                role_name=self._role_name,
                disable_imds_v1=True,
                http_options=HttpOptions(connect_timeout=_STEP_MILLISECONDS, read_timeout=_STEP_MILLISECONDS),
                async_update_enabled=False,
            )
            if self._host != METADATA_HOST:
                # The SDK has no setting for the host.
                provider._EcsRamRoleCredentialsProvider__metadata_service_host = self._host
            answer: Any = await provider.get_credentials_async()
            expiration = datetime.fromtimestamp(answer.get_expiration(), UTC)
        except RetryError:
            raise FetchFailed(f"the metadata service at {self._host} does not answer") from None
        except CredentialException as error:
            raise FetchFailed(_complaint(str(error.message))) from None
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            if "disabled" in str(error):
                message = "ALIBABA_CLOUD_ECS_METADATA_DISABLED forbids it; take it out of the environment"
                raise FetchFailed(message, loud=True) from None
            raise FetchFailed("the metadata service gave an answer that is no credential") from None
        except (OSError, aiohttp.ClientError) as error:
            raise FetchFailed(f"the metadata service broke off ({type(error).__name__})") from None
        if not (answer.get_access_key_id() and answer.get_access_key_secret() and answer.get_security_token()):
            raise FetchFailed("the metadata service gave an incomplete credential")
        return Credential(
            answer.get_access_key_id(), answer.get_access_key_secret(), answer.get_security_token(), expiration
        )


def _complaint(told: str) -> str:
    """The SDK's refusals in words that say what to do; theirs hold a status at most."""
    if "cached value" in told:
        # What the SDK says of a credential that had ended when it came.
        return "the credential that the metadata service gave has ended; is a clock wrong?"
    if "404" in told:
        return "the metadata service knows no role; is a RAM role attached to this instance?"
    status = re.search(r"HttpCode=([0-9]{3})", told)
    return f"the metadata service answered {status[1]}" if status else "the metadata service gave no credential"
