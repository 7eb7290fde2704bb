"""`type: default`: the SDK's own chain of sources, as Alibaba's other tools look for a credential.

Environment, OIDC, the CLI's profile, the SDK's profile, the ECS role, a credentials URI: the first that has one.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from alibabacloud_credentials.provider import DefaultCredentialsProvider

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import FetchFailed
from signer.signing.v4 import Credential

UNTOLD_LIFE = timedelta(minutes=15)
"""What a token lives whose source does not tell its end: the least that STS gives out."""


class DefaultChainSource:
    def __init__(self, sdk: SdkThread, *, deadline_seconds: float) -> None:
        self._sdk = sdk
        self._deadline_seconds = deadline_seconds

    async def fetch(self) -> Credential:
        return await self._sdk.run(_fetch, deadline_seconds=self._deadline_seconds)


async def _fetch() -> Credential:
    # A chain for each fetch: its providers' caches hand out ended tokens. Made off the loop, since it reads files.
    chain = await asyncio.to_thread(DefaultCredentialsProvider)
    try:
        found: Any = await chain.get_credentials_async()
        # The chain leaves out the end of what it passes on; the provider it came from still knows it.
        expiration = (await _last_used(chain).get_credentials_async()).get_expiration()
    except Exception as error:
        # Whatever a link of the chain raises; its text may quote answers with secrets.
        raise FetchFailed(f"no source of the SDK's default chain gave a credential ({type(error).__name__})") from None
    if not (found.get_access_key_id() and found.get_access_key_secret()):
        raise FetchFailed("the SDK's default chain gave an incomplete credential")
    return Credential(
        found.get_access_key_id(),
        found.get_access_key_secret(),
        found.get_security_token() or None,
        _end(expiration, temporary=bool(found.get_security_token())),
    )


def _last_used(chain: Any) -> Any:
    return chain._DefaultCredentialsProvider__last_used_provider


def _end(expiration: int | None, *, temporary: bool) -> datetime | None:
    if expiration:
        return datetime.fromtimestamp(expiration, UTC)
    return datetime.now(UTC) + UNTOLD_LIFE if temporary else None
