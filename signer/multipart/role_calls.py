"""The signer's own calls to OSS with the token of an app's role, which is replaced if OSS rejects it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from cachetools import LRUCache, TTLCache

from signer.definitions.registry import App
from signer.errors import OssUnavailable
from signer.multipart.oss_results import BucketAddress, TokenRejected
from signer.revision import Context
from signer.signing.v4 import Credential

T = TypeVar("T")

_MIN_REPLACEMENT_SECONDS = 30.0
"""The interval between replacements of a token that OSS rejects: clients can repeat their requests at any rate."""
_MAX_ROLES = 4096


class RoleCalls:
    """Awaits calls to OSS, and has a role's token replaced when OSS rejects it."""

    def __init__(self) -> None:
        self._replaced: TTLCache[str, bool] = TTLCache(maxsize=_MAX_ROLES, ttl=_MIN_REPLACEMENT_SECONDS)
        """The roles whose tokens OSS has rejected lately."""
        self._accepted: LRUCache[tuple[str, BucketAddress], bool] = LRUCache(maxsize=_MAX_ROLES)
        """The buckets where OSS has accepted a token of a role."""
        self._suspected: LRUCache[tuple[str, BucketAddress], Credential] = LRUCache(maxsize=_MAX_ROLES)
        """The tokens that were rejected where no token of the role had been accepted before."""

    async def run(self, context: Context, app: App, credential: Credential, call: Awaitable[T]) -> T:
        """Await a call of an app to its bucket; raise `OssUnavailable` if OSS rejects the token."""
        address = bucket_address(app)
        try:
            result = await call
        except TokenRejected as error:
            # An address that never accepted one may be wrong, so its word ends no token.
            is_trusted = (app.role, address) in self._accepted
            if not is_trusted:
                self._suspected[app.role, address] = credential
            if app.role not in self._replaced:
                self._replaced[app.role] = True
                context.revision.roles.reject(app.role, credential, keep=not is_trusted)
            detail = f"OSS rejects the token of this app's role ({error}), which is replaced now; retry"
            raise OssUnavailable(detail, retry_after_seconds=2) from None
        self._accepted[app.role, address] = True
        if self._suspected.pop((app.role, address), credential) != credential:
            # The address is right, so the earlier token was revoked, and other credentials of the role with it.
            context.revision.roles.record_revocation(app.role)
        return result


def bucket_address(app: App) -> BucketAddress:
    """Return the bucket of an app, and where the signer reaches it."""
    return BucketAddress(app.rules.bucket, app.rules.region, app.oss_url)
