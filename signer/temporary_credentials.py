"""Temporary credentials of callers, for clients with an SDK of OSS, and for the downloads of their apps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from signer.admission import Admission, audit_members, enabled_app
from signer.callers.caller import Caller
from signer.credentials.caller_credentials import CallerCredentials, CallerRequest
from signer.credentials.clock_skew import ServerDate
from signer.credentials.fetch_pacer import ACCOUNT_CALLS_PER_SECOND
from signer.credentials.sdk_thread import SdkThread
from signer.definitions.model import Server
from signer.definitions.registry import App
from signer.environment import Environment
from signer.errors import Forbidden
from signer.limits.token_bucket import Allowance
from signer.revision import Context, RolePlanner
from signer.signing.object_key import check_caller
from signer.signing.sdk_endpoint import sdk_endpoint
from signer.signing.session_policy import CallerAccess
from signer.signing.v4 import Credential
from signer.telemetry.audit import AuditLog
from signer.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """A temporary credential, what an SDK needs with it, and what the response reports with both."""

    credential: Credential
    bucket: str
    region: str
    endpoint: str
    is_cname: bool
    """Whether the endpoint is a domain that is bound to the bucket."""
    key_prefix: str
    """The prefix of the caller's keys today."""
    caller: Caller
    allowance: Allowance | None


class TemporaryCredentialService:
    """Issues credentials that are narrowed to one caller. STS is called in a thread of its own."""

    def __init__(
        self,
        admission: Admission,
        metrics: Metrics,
        audit: AuditLog | None,
        *,
        environment: Environment,
        observe: Callable[[ServerDate], None],
        per_second: float,
        now: Callable[[], datetime],
    ) -> None:
        """Create the issuer of this process.

        Args:
            environment: resolves the `${...}` references of AccessKeys, for each fetch again.
            observe: gets the Date of each response of STS.
            per_second: the maximum rate of calls to STS.
        """
        self._admission = admission
        self._metrics = metrics
        self._audit = audit
        self._sdk = SdkThread(observe, name="temporary-credentials")
        self._planner = RolePlanner(self._sdk, environment)
        self._now = now
        temporary = metrics.temporary_credentials
        self._credentials = CallerCredentials(
            per_second, on_request=temporary.count_request, on_fetch=temporary.count_fetch
        )
        temporary.expose_state(waiting=lambda: self._credentials.waiting, cached=lambda: self._credentials.cached)

    async def issue(self, context: Context) -> IssuedCredential:
        """Return the credential of the caller of a request, or raise the `Problem` that refuses it."""
        with self._admission.counted_failures(context):
            app = enabled_app(context)
            access = app.caller_access
            if access is None:
                detail = "this app has no temporary credentials; use a form, or ask its operators to set "
                raise Forbidden(f"{detail}temporary_credentials")
            caller, allowance = await self._admission.admit(app, context)
            key_prefix = app.rules.naming.prefix_of(app_id=app.id, caller=caller.id, now=self._now())
            credential = await self._credential(context, app, access, caller)
        self._metrics.count_signature(app.id, "signed")
        if self._audit is not None:
            members = {
                "key_prefix": f"{access.prefix}{caller.id}/",
                "actions": access.actions,
                "access_key_id": credential.access_key_id,
                "expires_at": credential.expiration,
            }
            self._audit.add("temporary_credential", {**audit_members(app, caller, context), **members})
        rules = app.rules
        endpoint, is_cname = sdk_endpoint(rules.url, rules.bucket)
        return IssuedCredential(
            credential, rules.bucket, rules.region, endpoint, is_cname, key_prefix, caller, allowance
        )

    async def credential_for_reading(
        self, context: Context, app: App, access: CallerAccess, caller: Caller, *, until: datetime
    ) -> Credential:
        """Return the credential to sign a caller's downloads with; an earlier one if it is valid until then."""
        return await self._credential(context, app, access, caller, until=until)

    async def _credential(
        self, context: Context, app: App, access: CallerAccess, caller: Caller, *, until: datetime | None = None
    ) -> Credential:
        caller_id = check_caller(caller.id)
        roles, role = context.revision.roles, context.revision.registry.roles[app.role]
        return await self._credentials.get(
            CallerRequest(
                app.id,
                (roles.revocation_of(app.role), access, caller_id),
                access.duration,
                lambda: self._planner.narrowed_source(role, roles, access.policy(caller_id), access.duration),
                until,
            )
        )

    async def close(self) -> None:
        """Cancel all fetches and end the thread."""
        await self._credentials.close()
        self._sdk.close()


def fetches_per_second(server: Server) -> float:
    """Return the rate of this machine, below what the fetches for roles leave of the account's 100 calls a second."""
    fetches, fetch_seconds = server.credential_fetch_rate
    temporary, temporary_seconds = server.temporary_credential_rate
    return min(temporary / temporary_seconds, max(ACCOUNT_CALLS_PER_SECOND - fetches / fetch_seconds, 1.0))
