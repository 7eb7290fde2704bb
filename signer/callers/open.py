"""`callers: {type: open}`: anyone may ask."""

from __future__ import annotations

from signer.callers.protocol import Caller, Evidence

ANYONE = Caller()


class Open:
    def presented(self, evidence: Evidence) -> bool:
        return True

    async def identify(self, evidence: Evidence) -> Caller:
        return ANYONE
