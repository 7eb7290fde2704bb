"""`type: oidc`: the credential of a role, from AssumeRoleWithOIDC of STS with the pod's OIDC token (RRSA in ACK).

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerolewithoidc
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alibabacloud_sts20150401 import models
from alibabacloud_sts20150401.client import Client
from darabonba.runtime import RuntimeOptions

from signer.credentials.sources.credential_source import FetchFailed
from signer.credentials.sources.sts_call import RoleRequest, Sts
from signer.file_calls import DEADLINE_SECONDS, await_with_deadline
from signer.regular_file import read_regular_file
from signer.signing.v4 import Credential

_MAX_TOKEN_BYTES = 20_000
"""STS accepts a token of at most 20,000 characters."""


@dataclass(frozen=True, slots=True)
class OidcSource:
    """Assumes a role without an AccessKey: STS trusts the cluster that signed the token.

    The token file is read again for each fetch, since Kubernetes replaces it while the pod runs.
    """

    sts: Sts
    role_request: RoleRequest
    provider_arn: str
    token_file: Path

    async def fetch(self) -> Credential:
        return await self.sts.issue(self._assume)

    async def _assume(self, client: Client, runtime: RuntimeOptions) -> Any:
        token = await self._token()
        request = models.AssumeRoleWithOIDCRequest(
            **self.role_request.parameters(), oidcprovider_arn=self.provider_arn, oidctoken=token
        )
        return await client.assume_role_with_oidcwith_options_async(request, runtime)

    async def _token(self) -> str:
        try:
            # Half of the time of the fetch, so that the error names the file.
            seconds = min(DEADLINE_SECONDS, self.sts.deadline_seconds / 2)
            data = await await_with_deadline(self.token_file, self._read, seconds=seconds)
            return data.decode("ascii").strip()
        except OSError as error:
            reason = f"the OIDC token file {self.token_file} cannot be read: {error.strerror}"
        except ValueError:
            reason = f"the OIDC token file {self.token_file} contains no token"
        raise FetchFailed(reason, needs_operator=True, concerns_issuer=True)

    def _read(self) -> bytes:
        return read_regular_file(self.token_file, max_bytes=_MAX_TOKEN_BYTES)
