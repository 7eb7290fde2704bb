"""`type: oidc`: the credential of a role, from AssumeRoleWithOIDC of STS with the pod's OIDC token (RRSA in ACK).

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerolewithoidc
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from alibabacloud_sts20150401 import models

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import FetchFailed
from signer.credentials.sources.sts_call import RoleRequest, issued_credential, new_sts_client
from signer.signing.v4 import Credential

_MAX_TOKEN_BYTES = 20_000
"""STS accepts a token of at most 20,000 characters."""


class OidcSource:
    """Assumes a role without an AccessKey: STS trusts the cluster that signed the token.

    The token file is read again for each fetch, since Kubernetes replaces it while the pod runs.
    """

    def __init__(
        self,
        sdk: SdkThread,
        role_request: RoleRequest,
        *,
        provider_arn: str,
        token_file: Path,
        endpoint: str,
        deadline_seconds: float,
    ) -> None:
        self._sdk = sdk
        self._role_request = role_request
        self._provider_arn = provider_arn
        self._token_file = token_file
        self._endpoint = endpoint
        self._deadline_seconds = deadline_seconds

    async def fetch(self) -> Credential:
        return await self._sdk.run(self._assume, deadline_seconds=self._deadline_seconds)

    async def _assume(self) -> Credential:
        wanted = self._role_request
        request = models.AssumeRoleWithOIDCRequest(
            oidcprovider_arn=self._provider_arn,
            oidctoken=await asyncio.to_thread(self._read_token),
            role_arn=wanted.role_arn,
            role_session_name=wanted.session_name,
            duration_seconds=int(wanted.duration.total_seconds()),
            policy=wanted.session_policy,
        )
        sts = new_sts_client(self._endpoint)
        return await issued_credential(
            lambda runtime: sts.assume_role_with_oidcwith_options_async(request, runtime), self._deadline_seconds
        )

    def _read_token(self) -> str:
        try:
            with self._token_file.open("rb") as file:
                return file.read(_MAX_TOKEN_BYTES + 1).decode("ascii").strip()
        except OSError as error:
            reason = f"the OIDC token file {self._token_file} cannot be read: {error.strerror}"
            raise FetchFailed(reason, needs_operator=True) from None
        except ValueError:
            raise FetchFailed(
                f"the OIDC token file {self._token_file} contains no token", needs_operator=True
            ) from None
