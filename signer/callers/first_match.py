"""Several kinds of callers for one app: the first whose credential is present decides."""

from __future__ import annotations

from collections.abc import Sequence

from signer.callers.caller import Caller, CallerCheck
from signer.errors import Unauthenticated
from signer.request_context import RequestContext


class FirstMatchCheck:
    def __init__(self, checks: Sequence[CallerCheck]) -> None:
        self._checks = tuple(checks)

    def presented(self, context: RequestContext) -> bool:
        return any(check.presented(context) for check in self._checks)

    async def identify(self, context: RequestContext) -> Caller:
        """A credential that is present and wrong is refused; the next kind is not tried."""
        for check in self._checks:
            if check.presented(context):
                return await check.identify(context)
        raise Unauthenticated("this app wants to know who asks; send one of the credentials it takes")
