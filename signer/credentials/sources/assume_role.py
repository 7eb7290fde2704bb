"""`type: assume_role`: a credential from STS AssumeRole, through the official SDK (help page `AssumeRole`)."""

from __future__ import annotations

from alibabacloud_sts20150401 import models

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import FetchFailed, Source
from signer.credentials.sources.source_role import ChainedRoleSource
from signer.credentials.sources.sts_call import RoleRequest, StsError, client, issued
from signer.signing.v4 import Credential


class AssumeRoleSource:
    """`base` gives what STS is called with: an AccessKey, or the credential of another role."""

    def __init__(
        self,
        sdk: SdkThread,
        assumption: RoleRequest,
        *,
        base: Source,
        endpoint: str,
        deadline_seconds: float,
    ) -> None:
        self._sdk = sdk
        self._assumption = assumption
        self._base = base
        self._endpoint = endpoint
        self._deadline_seconds = deadline_seconds
        self._accepted: Credential | None = None

    async def fetch(self) -> Credential:
        base = await self._base.fetch()
        try:
            credential = await self._sdk.run(lambda: self._assume(base), deadline_seconds=self._deadline_seconds)
        except StsError as refused:
            if refused.distrusts_the_key and isinstance(self._base, ChainedRoleSource):
                self._base.distrust()
            if base.security_token is None and self._accepted not in (None, base):
                raise FetchFailed(f"the AccessKey was changed and the new one fails: {refused}", loud=True) from None
            raise
        self._accepted = base
        return credential

    async def _assume(self, base: Credential) -> Credential:
        sts = client(self._endpoint, base)
        wanted = self._assumption
        request = models.AssumeRoleRequest(
            role_arn=wanted.role_arn,
            role_session_name=wanted.session_name,
            duration_seconds=int(wanted.duration.total_seconds()),
            external_id=wanted.external_id,
            policy=wanted.session_policy,
        )
        return await issued(
            lambda runtime: sts.assume_role_with_options_async(request, runtime), self._deadline_seconds
        )
