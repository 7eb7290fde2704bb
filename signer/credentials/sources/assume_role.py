"""`type: assume_role`: the credential of a role, from AssumeRole of STS.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

from alibabacloud_sts20150401 import models
from alibabacloud_sts20150401.client import Client
from darabonba.runtime import RuntimeOptions

from signer.credentials.sources.credential_source import FetchFailed, Source
from signer.credentials.sources.sts_call import RoleRequest, Sts, StsRejected
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential


class RoleCredentials(Protocol):
    """The credentials of all roles, by name."""

    async def get(self, role: str) -> Credential: ...

    def reject(self, role: str, token: Credential, *, keep: bool) -> None: ...


class ChainedRoleUnavailable(FetchFailed):
    """The role with which another role is assumed has no usable credential."""


@dataclass(frozen=True, slots=True)
class ChainedRoleSource:
    """`source:`: returns the credential of another role, with which a role is assumed."""

    role: str
    credentials: RoleCredentials

    async def fetch(self) -> Credential:
        try:
            return await self.credentials.get(self.role)
        except CredentialsUnavailable:
            reason = f"its source role {self.role} has no usable credential"
            raise ChainedRoleUnavailable(reason, concerns_issuer=True) from None


@dataclass(slots=True)
class AssumeRoleSource:
    """Assumes a role with the credential of `base`: an AccessKey, or that of another role."""

    sts: Sts
    role_request: RoleRequest
    external_id: str | None
    base: Source
    _last_accepted: Credential | None = field(default=None, init=False)

    async def fetch(self) -> Credential:
        base = await self.base.fetch()
        try:
            credential = await self.sts.issue(self._assume, base)
        except StsRejected as error:
            if error.is_key_rejected and isinstance(self.base, ChainedRoleSource):
                # It was revoked. An endpoint that never accepted one may be wrong, so its word ends no token.
                is_trusted = self._last_accepted is not None
                self.base.credentials.reject(self.base.role, base, keep=not is_trusted)
            if base.security_token is None and self._last_accepted not in (None, base):
                reason = f"the AccessKey was changed and the new one fails: {error}"
                raise FetchFailed(reason, needs_operator=True, concerns_issuer=error.concerns_issuer) from None
            raise
        self._last_accepted = base
        return credential

    async def _assume(self, client: Client, runtime: RuntimeOptions) -> Any:
        request = models.AssumeRoleRequest(**self.role_request.parameters(), external_id=self.external_id)
        return await client.assume_role_with_options_async(request, runtime)
