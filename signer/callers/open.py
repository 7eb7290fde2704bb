"""`callers: {type: open}`: anyone may ask."""

from __future__ import annotations

from signer.callers.caller import Caller
from signer.request_context import RequestContext

ANYONE = Caller()


class OpenCheck:
    def presented(self, context: RequestContext) -> bool:
        return True

    async def identify(self, context: RequestContext) -> Caller:
        return ANYONE
