"""An AccessKey that stands in the definitions: a RAM user's, or the credential of `type: static`.

Read anew for each fetch, so that a rotated secret file or environment file counts from the next fetch on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from signer.credentials.sources.credential_source import FetchFailed
from signer.signing.v4 import Credential

_READ_SECONDS = 5.0
"""A secret may stand on a network file system that hangs."""


class CannotReadKey(Exception):
    """What the key stands in cannot be read; the text says why and holds no value."""


class AccessKeySource:
    def __init__(self, read: Callable[[], Credential]) -> None:
        """`read` gives the key as it is now; it may block, and raises `CannotReadKey`."""
        self._read = read

    async def fetch(self) -> Credential:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                return await asyncio.to_thread(self._read)
        except TimeoutError:
            raise FetchFailed(f"the AccessKey could not be read within {_READ_SECONDS:g} s") from None
        except CannotReadKey as error:
            raise FetchFailed(f"the AccessKey cannot be read: {error}", loud=True) from None
