"""What the steps of a multipart upload return."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from signer.callers.caller import Caller
from signer.limits.token_bucket import Allowance
from signer.signing.multipart import PendingUpload, SignedPart

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StartedUpload:
    """An upload that was started, and its first parts."""

    token: str
    upload: PendingUpload
    parts: Sequence[SignedPart]
    caller: Caller
    allowance: Allowance | None


@dataclass(frozen=True, slots=True)
class CompletedUpload:
    """An object that a multipart upload became."""

    key: str
    url: str
    etag: str
    size_bytes: int
    callback: Any = None
    """The response of the app's server; None if OSS's callback failed."""
    has_callback: bool = False
    """Whether the callback is known; it is not if the upload was completed by an earlier request."""


class StepResult(NamedTuple, Generic[T]):
    """The result of a step, and who requested it."""

    value: T
    caller: Caller
