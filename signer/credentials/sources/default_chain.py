"""`type: default`: the credential chain of Alibaba's SDK, which Alibaba's other tools use too.

It returns the first credential of: environment, OIDC, CLI profile, SDK profile, ECS role, credentials URI.

See: https://help.aliyun.com/zh/sdk/developer-reference/v2-manage-python-access-credentials
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from alibabacloud_credentials.provider import DefaultCredentialsProvider

from signer.credentials.sdk_patches import last_used_provider
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import FetchFailed
from signer.signing.v4 import Credential

ASSUMED_LIFETIME = timedelta(minutes=15)
"""The lifetime of a token without an expiration: the shortest that STS issues."""


@dataclass(frozen=True, slots=True)
class DefaultChainSource:
    """Fetches a credential from the chain."""

    sdk: SdkThread
    deadline_seconds: float

    async def fetch(self) -> Credential:
        return await self.sdk.run(_fetch, deadline_seconds=self.deadline_seconds)


async def _fetch() -> Credential:
    # A chain for each fetch, since the caches of its providers return expired tokens. Its constructor reads files.
    chain = await asyncio.to_thread(DefaultCredentialsProvider)
    try:
        found: Any = await chain.get_credentials_async()
        # The chain drops the expiration, but the provider that it used still has it.
        expiration = (await last_used_provider(chain).get_credentials_async()).get_expiration()
    except Exception as error:
        # Providers raise any type of exception, and its text may quote responses with secrets.
        raise FetchFailed(f"the SDK's default chain found no credential ({type(error).__name__})") from None
    if not (found.get_access_key_id() and found.get_access_key_secret()):
        raise FetchFailed("the SDK's default chain returned an incomplete credential")
    token = found.get_security_token() or None
    expires_at = datetime.fromtimestamp(expiration, UTC) if expiration else None
    if expires_at is None and token is not None:
        expires_at = datetime.now(UTC) + ASSUMED_LIFETIME
    return Credential(found.get_access_key_id(), found.get_access_key_secret(), token, expires_at)
