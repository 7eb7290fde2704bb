"""`type: default`: the credential chain of Alibaba's SDK, which Alibaba's other tools use too.

It returns the first credential of: environment, OIDC, CLI profile, SDK profile, ECS role, credentials URI.

See: https://help.aliyun.com/zh/sdk/developer-reference/v2-manage-python-access-credentials
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from alibabacloud_credentials.provider import DefaultCredentialsProvider

from signer.credentials.sdk_patches import last_used_provider
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.connection_failure import connection_failed
from signer.credentials.sources.credential_source import FetchFailed
from signer.file_calls import FileSystemHangs, await_with_deadline
from signer.signing.v4 import Credential

T = TypeVar("T")

ASSUMED_LIFETIME = timedelta(minutes=15)
"""The lifetime of a token without an expiration: the shortest that STS issues."""

_SERVICE = "the service that the SDK's default chain used"


@dataclass(frozen=True, slots=True)
class DefaultChainSource:
    """Fetches a credential from the chain."""

    sdk: SdkThread
    deadline_seconds: float

    async def fetch(self) -> Credential:
        return await self.sdk.run(self._fetch, deadline_seconds=self.deadline_seconds, service=_SERVICE)

    async def _fetch(self) -> Credential:
        """Use the chain in a thread and an event loop of its own, since it reads files that may hang."""
        context = copy_context()
        run = partial(context.run, _run_chain, self.deadline_seconds)
        try:
            return await await_with_deadline(_run_chain, run, seconds=self.deadline_seconds)
        except FileSystemHangs:
            reason = "the SDK's default chain does not return; check the mounts of the files that it reads"
            raise FetchFailed(reason, needs_operator=True, concerns_issuer=True) from None


def _run_chain(deadline_seconds: float) -> Credential:
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(_InlineExecutor())
        return runner.run(asyncio.wait_for(_use_chain(), deadline_seconds))


class _InlineExecutor(ThreadPoolExecutor):
    """Calls each function at once, in the thread of the event loop, which does nothing else."""

    def submit(self, function: Callable[..., T], /, *arguments: Any, **options: Any) -> Future[T]:
        future = Future[T]()
        try:
            future.set_result(function(*arguments, **options))
        except Exception as error:
            future.set_exception(error)
        return future


async def _use_chain() -> Credential:
    # A chain for each fetch, since the caches of its providers return expired tokens.
    chain = DefaultCredentialsProvider()
    try:
        found: Any = await chain.get_credentials_async()
        # The chain drops the expiration, but the provider that it used still has it.
        expiration = (await last_used_provider(chain).get_credentials_async()).get_expiration()
    except Exception as error:
        # Providers raise any type of exception, and its text may quote responses with secrets.
        failed = await connection_failed(error, _SERVICE)
        reason = f"the SDK's default chain found no credential ({type(error).__name__})"
        raise failed or FetchFailed(reason, concerns_issuer=True) from None
    if not (found.get_access_key_id() and found.get_access_key_secret()):
        raise FetchFailed("the SDK's default chain returned an incomplete credential", concerns_issuer=True)
    token = found.get_security_token() or None
    expires_at = datetime.fromtimestamp(expiration, UTC) if expiration else None
    if expires_at is None and token is not None:
        expires_at = datetime.now(UTC) + ASSUMED_LIFETIME
    return Credential(found.get_access_key_id(), found.get_access_key_secret(), token, expires_at)
