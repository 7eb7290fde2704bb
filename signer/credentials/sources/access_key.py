"""`type: static`, and the RAM user's AccessKey of `type: assume_role`: an AccessKey from the definitions.

It is read again for each fetch, so that a rotated secret file or environment file is used from the next fetch on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from signer.credentials.sources.credential_source import FetchFailed
from signer.signing.v4 import Credential

_READ_TIMEOUT_SECONDS = 5.0
"""The file may be on a network file system that hangs."""


class CannotReadKey(Exception):
    """The AccessKey cannot be read; the text gives the reason and contains no value."""


class AccessKeyUnreadable(FetchFailed):
    """The AccessKey of the definitions cannot be read."""


class AccessKeySource:
    """Reads an AccessKey."""

    def __init__(self, read: Callable[[], Credential]) -> None:
        """Create a source; `read` returns the current key, may block, and raises `CannotReadKey`."""
        self._read = read

    async def fetch(self) -> Credential:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_SECONDS):
                return await asyncio.to_thread(self._read)
        except TimeoutError:
            reason = f"the AccessKey was not read within {_READ_TIMEOUT_SECONDS:g} s; check the file system of its file"
            raise FetchFailed(reason) from None
        except CannotReadKey as error:
            raise AccessKeyUnreadable(f"the AccessKey cannot be read: {error}", needs_operator=True) from None
