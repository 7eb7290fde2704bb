"""`type: default`: the credential chain of Alibaba's SDK, which Alibaba's other tools use too.

It returns the first credential of: environment, OIDC, profile of the CLI, profile of the SDK, ECS role, credentials URI.

See: https://help.aliyun.com/zh/sdk/developer-reference/v2-manage-python-access-credentials
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from alibabacloud_credentials.provider import DefaultCredentialsProvider

from signer.credentials.sdk_patches import last_used_provider
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import FetchFailed
from signer.signing.v4 import Credential

ASSUMED_LIFETIME = timedelta(minutes=15)
"""The lifetime of a token without an expiration: the shortest that STS issues."""


class DefaultChainSource:
    """Fetches a credential from the chain."""

    def __init__(self, sdk: SdkThread, *, deadline_seconds: float) -> None:
        self._sdk = sdk
        self._deadline_seconds = deadline_seconds

    async def fetch(self) -> Credential:
        return await self._sdk.run(_fetch, deadline_seconds=self._deadline_seconds)


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
    security_token = found.get_security_token() or None
    return Credential(
        found.get_access_key_id(),
        found.get_access_key_secret(),
        security_token,
        _expiration(expiration, is_temporary=security_token is not None),
    )


def _expiration(epoch_seconds: int | None, *, is_temporary: bool) -> datetime | None:
    if epoch_seconds:
        return datetime.fromtimestamp(epoch_seconds, UTC)
    return datetime.now(UTC) + ASSUMED_LIFETIME if is_temporary else None
