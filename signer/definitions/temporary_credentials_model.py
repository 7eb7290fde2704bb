"""The model of `temporary_credentials` of an app."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from signer.definitions.credential_model import StrictModel
from signer.definitions.value_types import Duration

Action = Annotated[Literal["upload", "multipart", "read"], Field(title="action")]


class TemporaryCredentials(StrictModel):
    """Temporary credentials for clients with an SDK of OSS. Each is limited to the caller's own prefix, but not to the
    rules of forms: OSS checks neither sizes nor types. It needs an entry of type `assume_role` or `oidc`, identified
    callers, and `{caller}/` as the first variable of `key_prefix`."""

    duration: Duration = Field(timedelta(minutes=15), examples=["90m"])
    """Lifetime of a credential, from 15m to 12h, and at most the MaxSessionDuration of the role; with `downloads`, at
    least twice as long as a URL is valid."""
    actions: tuple[Action, ...] = Field(
        ("upload", "multipart", "read"), min_length=1, examples=[["upload", "multipart", "read"]]
    )
    """What it allows: `upload` (`oss:PutObject`), `multipart` (also `oss:ListParts` and `oss:AbortMultipartUpload`),
    `read` (`oss:GetObject`); the role needs the same. An app with `downloads` needs `read`."""
