"""The limits of the steps after the start of a multipart upload, so that they cannot flood OSS.

An upload counts once in `rate_limit`. Its other steps are as many as it has parts, so they have limits of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType

from signer.admission import address_limit, byte_limits, caller_limit
from signer.callers.caller import Caller
from signer.definitions.registry import App
from signer.limits.token_bucket import Limit, Rate
from signer.revision import Context
from signer.signing.multipart import PendingUpload


class Step(StrEnum):
    """A step after the start of an upload."""

    PARTS = "parts"
    LIST = "list"
    COMPLETE = "complete"
    ABORT = "abort"


PER_ADDRESS: Rate = (2400, 60)
"""Of all steps together, counted before the caller is identified."""
ONCE: Rate = (1, 3600)
PER_CALLER: Mapping[Step, Rate] = MappingProxyType(
    {
        Step.PARTS: (1200, 60),
        Step.LIST: (120, 60),
        Step.COMPLETE: (120, 60),
        Step.ABORT: (120, 60),
    }
)
PER_UPLOAD: Mapping[Step, Rate] = MappingProxyType(
    {
        Step.PARTS: (120, 60),
        Step.LIST: (30, 60),
        Step.COMPLETE: (30, 60),
        Step.ABORT: (10, 60),
    }
)


def limits_before_identification(app: App, context: Context) -> Sequence[Limit]:
    """Return the limits that apply before the caller is identified."""
    return (address_limit(app, "multipart", context, PER_ADDRESS),)


def limits_of_step(app: App, step: Step, caller: Caller, context: Context, upload_id: str) -> Sequence[Limit]:
    """Return the limits of a step of one upload."""
    upload = sha256(upload_id.encode()).hexdigest()[:32]
    return (
        caller_limit(app, f"multipart-{step}", f"multipart-{step}-anonymous", caller, context, PER_CALLER[step]),
        Limit(f"{app.id}:multipart-{step}-of:{upload}", PER_UPLOAD[step]),
    )


def limits_to_give_back(
    app: App, caller: Caller, context: Context, upload: PendingUpload, now: datetime
) -> list[Limit]:
    """Return the limits of bytes that an aborted upload gives back, once.

    The longer ago an upload started, the more its limit has refilled, and the less is given back. Otherwise a client
    could start uploads for many days, abort them all, and upload the bytes of all these days at once.
    """
    multipart = app.rules.multipart
    if multipart is None:
        return []
    age_seconds = max(0.0, (now - (upload.expires_at - multipart.expires)).total_seconds())
    # OSS may answer two concurrent requests with success.
    returned = [Limit(f"{app.id}:multipart-given-back:{upload.mark}", ONCE)]
    for limit in byte_limits(app, caller, context, upload.size_bytes):
        share = max(0.0, 1 - age_seconds / limit.rate[1])
        returned.append(replace(limit, cost=-int(limit.cost * share)))
    return returned
