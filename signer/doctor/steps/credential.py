"""Step `credential`: can the token of each role be fetched. Later steps use these tokens."""

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlsplit

from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.issuer import Issuer
from signer.credentials.sources.access_key import AccessKeyUnreadable
from signer.credentials.sources.assume_role import ChainedRoleUnavailable
from signer.credentials.sources.credential_source import FetchFailed
from signer.credentials.sources.sts_call import StsRejected
from signer.definitions import credential_model
from signer.definitions.registry import Registry, Role
from signer.doctor.findings import Finding, Subject
from signer.doctor.remedies import CHRONY, RAM_CONSOLE, policy
from signer.errors import CredentialsUnavailable
from signer.revision import RolePlanner
from signer.signing.v4 import Credential

_FETCHES_PER_SECOND = 10.0
"""A signer that runs at the same time may use the rest of what STS allows."""


class TokenFetcher:
    """Fetches the token of each role once, evenly paced, when a step needs it."""

    def __init__(self, planner: RolePlanner, registry: Registry) -> None:
        self._plans = planner.plans(registry, self)
        self._fetches: dict[str, asyncio.Task[Credential]] = {}
        self._pacer = FetchPacer(_FETCHES_PER_SECOND)
        self._issuer = Issuer()

    async def token(self, role: str) -> Credential:
        """Return the role's token, or raise `FetchFailed`."""
        if role not in self._fetches:
            self._fetches[role] = asyncio.create_task(self._fetch(role))
        return await asyncio.shield(self._fetches[role])

    async def _fetch(self, role: str) -> Credential:
        await self._pacer.queue_and_wait(self._issuer)
        try:
            return await self._plans[role].source.fetch()
        except FetchFailed:
            raise
        except Exception as error:
            # An SDK may raise anything, and its text may quote a secret.
            raise FetchFailed(f"the SDK failed ({type(error).__name__})") from None

    async def get(self, role: str) -> Credential:
        """Return the token of a role that assumes another one, or raise `CredentialsUnavailable`."""
        try:
            return await self.token(role)
        except FetchFailed as error:
            raise CredentialsUnavailable(str(error), retry_after_seconds=1) from None

    def reject(self, role: str, token: Credential, *, keep: bool) -> None:
        """Do nothing: no token outlives the command."""

    async def close(self) -> None:
        """Cancel the fetches that still run."""
        for task in self._fetches.values():
            task.cancel()
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)


async def check_credential(tokens: TokenFetcher, subject: Subject, role: Role) -> Finding:
    """Fetch the role's token."""
    try:
        token = await tokens.token(role.name)
    except FetchFailed as error:
        if role.source is not None and isinstance(error, ChainedRoleUnavailable):
            return subject.not_checked(f"because credentials.{role.source.name} has no token to assume it with")
        return subject.failed(str(error), _fix(role, error))
    if token.expiration is None:
        return subject.ok("an AccessKey, which does not expire")
    return subject.ok(f"a token for {(token.expiration - datetime.now(UTC)).total_seconds() / 60:.0f} minutes")


def _fix(role: Role, error: FetchFailed) -> str:
    entry, where = role.entry, f"credentials.{role.name}"
    if isinstance(error, StsRejected) and isinstance(entry, credential_model.StsRole):
        return _fix_of_refusal(role, entry, error.code)
    if isinstance(error, AccessKeyUnreadable):
        return f"set what {where} refers to, in the environment, --env-file or the file"
    if isinstance(entry, credential_model.EcsRamRole):
        return "attach a RAM role to this instance; see also the step metadata"
    if isinstance(entry, credential_model.StsRole):
        host = urlsplit(entry.endpoint).netloc
        return f"check the connection to {host}: curl -sI {entry.endpoint}; or write another endpoint in {where}"
    return f"set one of the chain's sources for the service's user, or use another type in {where}"


def _fix_of_refusal(role: Role, entry: credential_model.StsRole, code: str) -> str:
    """Return the fix for an error code of STS.

    See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
    """
    where, name = f"credentials.{role.name}", entry.role_arn.rpartition("/")[2]
    if code.startswith(("SignatureDoesNotMatch", "IncompleteSignature")):
        return (
            f"the AccessKey secret of {where} does not belong to its id: set the right one, "
            f"or create a new AccessKey ({RAM_CONSOLE}/users > the user > AccessKey)"
        )
    if code.startswith("InvalidAccessKeyId"):
        return f"the AccessKey id of {where} is unknown or disabled: {RAM_CONSOLE}/users > the user > AccessKey"
    if code.startswith("InvalidTimeStamp"):
        return CHRONY
    if code.startswith("EntityNotExist"):
        return f"there is no role {entry.role_arn}: correct role_arn of {where}, or create it in {RAM_CONSOLE}/roles"
    if code.startswith(("NoPermission", "Forbidden")):
        return (
            f"allow the role {name} to be assumed: {RAM_CONSOLE}/roles > {name} > Trust Policy must name the account, "
            f"user or role that assumes it (and its external id), and that one needs this policy:\n"
            f"{policy('sts:AssumeRole', entry.role_arn)}"
        )
    if "DurationSeconds" in code:
        return f"duration of {where} exceeds the role's MaxSessionDuration: {RAM_CONSOLE}/roles > {name}"
    if "OIDC" in code or code.startswith("AuthenticationFail"):
        provider = f"the provider in the trust policy of {name} ({RAM_CONSOLE}/providers)"
        return f"check that the pod's token is issued by {provider}"
    if code.startswith("Throttling"):
        return "this account calls STS too often; try again in a minute"
    return f"https://api.aliyun.com/troubleshoot?q={code}&product=Sts"
