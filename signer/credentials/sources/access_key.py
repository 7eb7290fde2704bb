"""`type: static`, and the RAM user's AccessKey of `type: assume_role`: an AccessKey from the definitions.

It is read again for each fetch, so that a rotated secret file or environment file is used from the next fetch on.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from signer.credentials.sources.credential_source import FetchFailed
from signer.signing.v4 import Credential

_READ_TIMEOUT_SECONDS = 5.0
"""The file may be on a network file system that hangs."""


class AccessKeyUnreadable(FetchFailed):
    """The AccessKey of the definitions cannot be read; the text gives the reason and contains no value."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the AccessKey cannot be read: {reason}", needs_operator=True)


@dataclass(frozen=True, slots=True)
class AccessKeySource:
    """Reads an AccessKey."""

    read: Callable[[], Credential]
    """Returns the current key, may block, and raises `AccessKeyUnreadable`."""

    async def fetch(self) -> Credential:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_SECONDS):
                return await asyncio.to_thread(self.read)
        except TimeoutError:
            reason = f"the AccessKey was not read within {_READ_TIMEOUT_SECONDS:g} s; check the file system of its file"
            raise FetchFailed(reason) from None
