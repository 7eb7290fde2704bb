"""Several types of callers for one app: the first whose credential is in the request decides."""

from collections.abc import Sequence

from signer.callers.caller import Caller, CallerCheck
from signer.errors import Unauthenticated
from signer.request_context import RequestContext


class FirstMatchCheck:
    """Delegates to the first check that has a credential. If that is not valid, no other check is tried."""

    def __init__(self, checks: Sequence[CallerCheck]) -> None:
        self._checks = tuple(checks)

    def has_credential(self, context: RequestContext) -> bool:
        return any(check.has_credential(context) for check in self._checks)

    async def identify(self, context: RequestContext) -> Caller:
        for check in self._checks:
            if check.has_credential(context):
                return await check.identify(context)
        raise Unauthenticated("this app identifies its callers; send one of the credentials that it accepts")
