"""Step `credential`: can each role's token be had. Other steps ask with what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.keeper import RolePlan
from signer.credentials.sources.credential_source import FetchFailed
from signer.credentials.sources.sts_call import StsError
from signer.definitions import model
from signer.definitions.registry import Registry, Role
from signer.doctor.findings import About, Finding
from signer.doctor.remedies import CHRONY, RAM_CONSOLE, policy
from signer.errors import CredentialsUnavailable
from signer.revision import RolePlanner
from signer.signing.v4 import Credential


class Tokens:
    """Fetches the token of each role once, evenly paced, when somebody asks for it."""

    def __init__(self, planner: RolePlanner, registry: Registry) -> None:
        self._plans: Mapping[str, RolePlan] = planner.plans(registry, self)
        self._fetches: dict[str, asyncio.Task[Credential]] = {}
        self._pacer = FetchPacer()

    def __contains__(self, key: str) -> bool:
        return key in self._plans

    async def fetched(self, key: str) -> Credential:
        """Raises `FetchFailed`."""
        if key not in self._fetches:
            self._fetches[key] = asyncio.create_task(self._fetch(key))
        return await asyncio.shield(self._fetches[key])

    async def _fetch(self, key: str) -> Credential:
        await self._pacer.wait(urgent=True)
        try:
            return await self._plans[key].source.fetch()
        except FetchFailed:
            raise
        except Exception as error:
            # As the service: an SDK may raise anything, and its text may quote secrets.
            raise FetchFailed(f"the SDK failed ({type(error).__name__})") from None

    async def get(self, role: str) -> Credential:
        """For roles that are assumed with another. Raises `CredentialsUnavailable`."""
        try:
            return await self.fetched(role)
        except FetchFailed as error:
            raise CredentialsUnavailable(str(error), retry_after_seconds=1) from None

    def refresh(self, role: str) -> None:
        """Nothing here outlives the command."""

    async def close(self) -> None:
        for task in self._fetches.values():
            task.cancel()
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)


async def credential(tokens: Tokens, role: Role, apps: tuple[str, ...]) -> Finding:
    about = About("credential", role.name, apps)
    try:
        token = await tokens.fetched(role.name)
    except FetchFailed as error:
        if role.source is not None and "its source" in str(error):
            return about.not_checked(f"because credentials.{role.source.name} gives none to assume it with")
        return about.failed(str(error), _mend(role, error))
    if token.expiration is None:
        return about.ok("an AccessKey, which does not end")
    left = token.expiration - datetime.now(UTC)
    return about.ok(f"a token for {left.total_seconds() / 60:.0f} minutes")


def _mend(role: Role, error: FetchFailed) -> str:
    entry = role.entry
    where = f"credentials.{role.name}"
    if isinstance(error, StsError) and isinstance(entry, model.AssumedRole):
        return _refused(role, entry, error.code)
    if "AccessKey cannot be read" in str(error):
        return f"set what {where} names, in the environment, --env-file or the file"
    if isinstance(entry, model.EcsRamRole):
        return "attach a RAM role to this instance, and see: curl http://100.100.100.200/latest/meta-data/ (metadata)"
    if isinstance(entry, model.AssumedRole):
        host = urlsplit(entry.endpoint).netloc
        return (
            f"see that this machine may reach {host}: curl -sI {entry.endpoint}; or write another endpoint in {where}"
        )
    return f"set one of the sources of the chain for the service's user, or another type in {where}"


def _refused(role: Role, entry: model.AssumedRole, code: str) -> str:
    """Codes of the help pages `AssumeRole` and `Common errors of STS`."""
    where, name = f"credentials.{role.name}", entry.role_arn.rpartition("/")[2]
    if code.startswith(("SignatureDoesNotMatch", "IncompleteSignature")):
        return (
            f"the AccessKey secret of {where} does not belong to its id: put the right one where it stands, "
            f"or make a new AccessKey ({RAM_CONSOLE}/users > the user > AccessKey)"
        )
    if code.startswith("InvalidAccessKeyId"):
        return f"the AccessKey id of {where} is unknown or switched off: {RAM_CONSOLE}/users > the user > AccessKey"
    if code.startswith("InvalidTimeStamp"):
        return CHRONY
    if code.startswith("EntityNotExist"):
        return f"there is no role {entry.role_arn}: mend role_arn of {where}, or make it in {RAM_CONSOLE}/roles"
    if code.startswith(("NoPermission", "Forbidden")):
        return (
            f"let the role {name} be assumed: {RAM_CONSOLE}/roles > {name} > Trust Policy must name the account, user "
            f"or role that asks (and its external id), and that one needs this policy:\n"
            f"{policy('sts:AssumeRole', entry.role_arn)}"
        )
    if "DurationSeconds" in code:
        return f"duration of {where} is longer than the role's MaxSessionDuration: {RAM_CONSOLE}/roles > {name}"
    if "OIDC" in code or code.startswith("AuthenticationFail"):
        provider = f"the provider that the trust policy of {name} names ({RAM_CONSOLE}/providers)"
        return f"see that the pod's token is of {provider}"
    if code.startswith("Throttling"):
        return "STS is asked too often by this account; try again in a minute"
    return f"https://api.aliyun.com/troubleshoot?q={code}&product=Sts"
