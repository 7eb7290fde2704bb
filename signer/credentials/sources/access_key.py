"""`type: static`, and the RAM user's AccessKey of `type: assume_role`: an AccessKey from the definitions.

It is read again for each fetch, so that a rotated secret file or environment file is used from the next fetch on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from signer.credentials.sources.credential_source import FetchFailed
from signer.file_calls import run_in_thread
from signer.signing.v4 import Credential


class AccessKeyUnreadable(FetchFailed):
    """The AccessKey of the definitions cannot be read; the text gives the reason and contains no value."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the AccessKey cannot be read: {reason}", needs_operator=True, concerns_issuer=True)


@dataclass(frozen=True, slots=True)
class AccessKeySource:
    """Reads an AccessKey."""

    read: Callable[[], Credential]
    """Returns the current key, may block for some seconds, and raises `AccessKeyUnreadable`."""

    async def fetch(self) -> Credential:
        try:
            return await run_in_thread(self.read)
        except OSError as error:  # no thread can be started
            raise FetchFailed(f"the AccessKey cannot be read: {error.strerror}", concerns_issuer=True) from None
