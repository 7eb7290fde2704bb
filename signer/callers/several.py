"""Several kinds of callers for one app: the first whose credential is present decides."""

from __future__ import annotations

from collections.abc import Sequence

from signer.callers.protocol import Caller, CallerCheck, Evidence
from signer.errors import Unauthenticated


class Several:
    def __init__(self, checks: Sequence[CallerCheck]) -> None:
        self._checks = tuple(checks)

    def presented(self, evidence: Evidence) -> bool:
        return any(check.presented(evidence) for check in self._checks)

    async def identify(self, evidence: Evidence) -> Caller:
        """A credential that is present and wrong is refused; the next kind is not tried."""
        for check in self._checks:
            if check.presented(evidence):
                return await check.identify(evidence)
        raise Unauthenticated("this app wants to know who asks; send one of the credentials it takes")
