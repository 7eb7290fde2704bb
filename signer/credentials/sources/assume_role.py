"""`type: assume_role`: the credential of a role, from AssumeRole of STS.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

from __future__ import annotations

from alibabacloud_sts20150401 import models

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.chained_role import ChainedRoleSource
from signer.credentials.sources.credential_source import FetchFailed, Source
from signer.credentials.sources.sts_call import RoleRequest, StsRejected, issued_credential, new_sts_client
from signer.signing.v4 import Credential


class AssumeRoleSource:
    """Assumes a role with another credential: an AccessKey, or that of another role."""

    def __init__(
        self,
        sdk: SdkThread,
        role_request: RoleRequest,
        *,
        base: Source,
        endpoint: str,
        deadline_seconds: float,
    ) -> None:
        """Create a source; `base` returns the credential with which the role is assumed."""
        self._sdk = sdk
        self._role_request = role_request
        self._base = base
        self._endpoint = endpoint
        self._deadline_seconds = deadline_seconds
        self._last_accepted: Credential | None = None

    async def fetch(self) -> Credential:
        base = await self._base.fetch()
        try:
            credential = await self._sdk.run(lambda: self._assume(base), deadline_seconds=self._deadline_seconds)
        except StsRejected as error:
            if error.is_key_rejected and isinstance(self._base, ChainedRoleSource):
                self._base.reject()
            if base.security_token is None and self._last_accepted not in (None, base):
                reason = f"the AccessKey was changed and the new one fails: {error}"
                raise FetchFailed(reason, needs_operator=True) from None
            raise
        self._last_accepted = base
        return credential

    async def _assume(self, base: Credential) -> Credential:
        sts = new_sts_client(self._endpoint, base)
        wanted = self._role_request
        request = models.AssumeRoleRequest(
            role_arn=wanted.role_arn,
            role_session_name=wanted.session_name,
            duration_seconds=int(wanted.duration.total_seconds()),
            external_id=wanted.external_id,
            policy=wanted.session_policy,
        )
        return await issued_credential(
            lambda runtime: sts.assume_role_with_options_async(request, runtime), self._deadline_seconds
        )
