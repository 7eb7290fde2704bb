"""`type: open`: anyone may request signatures."""

from signer.callers.caller import Caller
from signer.request_context import RequestContext

_ANYONE = Caller()


class OpenCheck:
    """Accepts every request."""

    def has_credential(self, context: RequestContext) -> bool:
        return True

    async def identify(self, context: RequestContext) -> Caller:
        return _ANYONE
