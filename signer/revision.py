"""What is active now: registry, credentials of roles, caller checks; and how they are built from the definitions.

Modules that need Alibaba's SDKs or PyJWT are imported only when an app uses them: they take longer to load than the
rest of the service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from signer.callers.api_key import ApiKeyCheck
from signer.callers.caller import CallerCheck
from signer.callers.first_match import FirstMatchCheck
from signer.callers.open import OpenCheck
from signer.credentials.keeper_pool import RoleSet
from signer.credentials.refresh_windows import RefreshWindows
from signer.credentials.role import RolePlan
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.access_key import AccessKeySource, AccessKeyUnreadable
from signer.credentials.sources.credential_source import Source
from signer.definitions import caller_model, credential_model
from signer.definitions.interpolation import BadReference, interpolate
from signer.definitions.registry import AccessKeyTemplate, App, Registry, Role
from signer.environment import CannotReadEnvironment, Environment
from signer.outbound import OutboundSessions
from signer.plugins import CALLERS, load_plugin
from signer.request_context import RequestContext
from signer.signing.v4 import Credential

if TYPE_CHECKING:
    from signer.callers.jwks import Jwks
    from signer.callers.verification_keys import VerificationKey
    from signer.credentials.sources.assume_role import RoleCredentials
    from signer.signing.upload_token import UploadTokens

_BASE_ROLE_LIFETIME = timedelta(minutes=5)
"""The lifetime that a token needs if its only use is to assume other roles."""

_KEY_MEMBERS = ("access_key_id", "access_key_secret", "security_token")


@dataclass(frozen=True, slots=True)
class Revision:
    """One consistent state of the service. A request uses the same revision from start to end."""

    registry: Registry
    roles: RoleSet
    checks: Mapping[str, CallerCheck]
    """The caller check of each enabled app, by app id."""
    upload_tokens: UploadTokens | None = None
    """Of multipart uploads; None without `server.secret`."""

    async def credential(self, app: App) -> Credential:
        """Return the credential of the app's role, once it is fetched; raise `CredentialsUnavailable` without one."""
        return self.roles.current(app.role) or await self.roles.get(app.role)


Context = RequestContext[Revision, App]
"""The context of a request to this service."""


class RolePlanner:
    """Plans how to fetch the credentials of roles."""

    def __init__(self, sdk: SdkThread, environment: Environment) -> None:
        """Create a planner; `environment` resolves the `${...}` references of AccessKeys, for each fetch again."""
        self._sdk = sdk
        self._environment = environment

    def plans(self, registry: Registry, credentials: RoleCredentials) -> dict[str, RolePlan]:
        """Return a plan for each role that an enabled app uses, and for the roles that those are assumed with.

        `credentials` is where a role finds the token of the role that it is assumed with.
        """
        roles = {key: registry.roles[key] for key in registry.longest_expires()}
        required_lifetimes = dict(registry.longest_expires())
        for role in list(roles.values()):
            base = role.source
            while base is not None:
                roles[base.name] = base
                required_lifetimes[base.name] = max(
                    required_lifetimes.get(base.name, _BASE_ROLE_LIFETIME), _BASE_ROLE_LIFETIME
                )
                base = base.source
        return {key: self._plan(role, required_lifetimes[key], credentials) for key, role in roles.items()}

    def _plan(self, role: Role, required_lifetime: timedelta, credentials: RoleCredentials) -> RolePlan:
        return RolePlan(
            _identity(role),
            self._source(role, credentials),
            RefreshWindows(required_lifetime, role.entry.min_remaining),
            permissions=_permissions(role),
            issuer=_issuer(role),
            timeout_seconds=role.entry.timeout.total_seconds(),
        )

    def narrowed_source(
        self, role: Role, credentials: RoleCredentials, session_policy: str, duration: timedelta
    ) -> Source:
        """Return the source of another token of a role of STS, with fewer permissions and another lifetime."""
        entry = role.entry.model_copy(update={"duration": duration})
        return self._source(replace(role, entry=entry, session_policy=session_policy), credentials)

    def _source(self, role: Role, credentials: RoleCredentials) -> Source:
        entry = role.entry
        deadline_seconds = entry.timeout.total_seconds()
        if isinstance(entry, credential_model.EcsRamRole):
            from signer.credentials.sources.ecs_ram_role import EcsRamRoleSource

            return EcsRamRoleSource(
                sdk=self._sdk, endpoint=entry.endpoint, role_name=entry.role_name, deadline_seconds=deadline_seconds
            )
        if isinstance(entry, credential_model.DefaultChain):
            from signer.credentials.sources.default_chain import DefaultChainSource

            return DefaultChainSource(self._sdk, deadline_seconds)
        if isinstance(entry, credential_model.StaticCredential):
            return self._access_key(role)
        from signer.credentials.sources.assume_role import AssumeRoleSource, ChainedRoleSource
        from signer.credentials.sources.oidc import OidcSource
        from signer.credentials.sources.sts_call import RoleRequest, Sts

        sts = Sts(self._sdk, entry.endpoint, deadline_seconds)
        role_request = RoleRequest(entry.role_arn, entry.session_name, entry.duration, role.session_policy)
        if isinstance(entry, credential_model.OidcRole):
            return OidcSource(sts, role_request, entry.provider_arn, Path(entry.token_file))
        base = self._access_key(role) if role.source is None else ChainedRoleSource(role.source.name, credentials)
        return AssumeRoleSource(sts, role_request, entry.external_id, base)

    def _access_key(self, role: Role) -> AccessKeySource:
        key = role.access_key
        if key is None:
            raise ValueError(f"{role.name} has neither an AccessKey nor a source")
        return AccessKeySource(lambda: _resolve_key(key, self._environment))


def _resolve_key(key: AccessKeyTemplate, environment: Environment) -> Credential:
    try:
        environ = environment.read()
        token = None if key.security_token is None else interpolate(key.security_token, environ)
        return Credential(interpolate(key.access_key_id, environ), interpolate(key.access_key_secret, environ), token)
    except (BadReference, CannotReadEnvironment) as error:
        raise AccessKeyUnreadable(str(error)) from None


def _permissions(role: Role) -> Hashable:
    """Return a value that is equal for roles whose tokens allow the same, whichever key fetches them."""
    entry = role.entry
    without_key = entry.model_copy(update={name: None for name in _KEY_MEMBERS if name in type(entry).model_fields})
    return without_key, role.session_policy, None if role.source is None else _permissions(role.source)


def _issuer(role: Role) -> Hashable:
    """Return a value that is equal for roles whose fetches fail together: of the same service, with the same key."""
    entry = role.entry
    if isinstance(entry, credential_model.StaticCredential):
        return None
    if isinstance(entry, credential_model.AssumeRole):
        return entry.endpoint, role.access_key, None if role.source is None else _identity(role.source)
    if isinstance(entry, credential_model.OidcRole):
        return entry.endpoint, entry.provider_arn, entry.token_file
    return entry.endpoint if isinstance(entry, credential_model.EcsRamRole) else entry.type


def build_upload_tokens(registry: Registry) -> UploadTokens | None:
    """Return the tokens of multipart uploads, or None without a secret.

    An upload can be aborted when no app has multipart uploads any more.
    """
    secrets = registry.server.secret
    if not secrets:
        return None
    from signer.signing.upload_token import UploadTokens

    return UploadTokens([secret.get_secret_value() for secret in secrets])


class _Identity:
    """The parts that make two roles equal. Each reload compares thousands of them, so the hash is computed once."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, *parts: Hashable) -> None:
        self._parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self._hash == other._hash and self._parts == other._parts


def _identity(role: Role) -> Hashable:
    return _Identity(_permissions(role), role.access_key, None if role.source is None else _identity(role.source))


class CallerCheckBuilder:
    """Builds the caller checks of apps."""

    def __init__(self, outbound: OutboundSessions, *, admit_login: Callable[[Context], Awaitable[None]]) -> None:
        """Create a builder; `admit_login` is awaited before a wx.login code is exchanged, and raises `RateLimited`."""
        self._outbound = outbound
        self._admit_login = admit_login

    def build(self, registry: Registry, previous: Revision | None = None) -> dict[str, CallerCheck]:
        """Return the caller check of each enabled app, by app id.

        An app whose `callers` are the same in the previous revision keeps its check with its caches.
        """
        unchanged: dict[str, CallerCheck] = {}
        if previous is not None:
            for app_id, check in previous.checks.items():
                app = registry.apps.get(app_id)
                if app is not None and app.callers == previous.registry.apps[app_id].callers:
                    unchanged[app_id] = check
        return {
            app.id: unchanged.get(app.id) or self._check(app.id, app.callers)
            for app in registry.apps.values()
            if app.enabled
        }

    def _check(self, app_id: str, entries: Sequence[caller_model.AnyCallers]) -> CallerCheck:
        checks = [self._check_of_kind(app_id, entry) for entry in entries]
        return checks[0] if len(checks) == 1 else FirstMatchCheck(checks)

    def _check_of_kind(self, app_id: str, entry: caller_model.AnyCallers) -> CallerCheck:
        if isinstance(entry, caller_model.PluginCallers):
            check: CallerCheck = load_plugin(CALLERS, entry.type)(entry.model_dump(), app_id)
            return check
        if isinstance(entry, caller_model.ApiKeyCallers):
            return ApiKeyCheck(entry.keys)
        if isinstance(entry, caller_model.WeChatCallers | caller_model.DouyinCallers):
            from signer.callers.douyin import DouyinCheck
            from signer.callers.session_tokens import SessionTokens
            from signer.callers.wechat import WeChatCheck

            kind = WeChatCheck if isinstance(entry, caller_model.WeChatCallers) else DouyinCheck
            secret = entry.secret.get_secret_value()
            return kind(
                outbound=self._outbound.logins,
                sessions=SessionTokens(app_id, secret, entry.session, login_call=kind.login_call),
                app_id=entry.app_id or app_id,
                secret=secret,
                endpoint=entry.endpoint,
                timeout_seconds=entry.timeout.total_seconds(),
                admit_login=self._admit_login,
            )
        if isinstance(entry, caller_model.AlipayCallers):
            return self._alipay_check(app_id, entry)
        if isinstance(entry, caller_model.JwtCallers):
            from signer.callers.jwt_bearer import JwtBearerCheck
            from signer.callers.jwt_verification import JwtRules

            rules = JwtRules(entry.claim, entry.issuer, entry.audience, entry.leeway.total_seconds())
            return JwtBearerCheck(self._verification_key(entry), rules)
        return OpenCheck()

    def _alipay_check(self, app_id: str, entry: caller_model.AlipayCallers) -> CallerCheck:
        from signer.callers.alipay import AlipayCheck
        from signer.callers.alipay_key import read_private_key
        from signer.callers.session_tokens import SessionTokens

        key = entry.private_key.get_secret_value()
        return AlipayCheck(
            outbound=self._outbound.logins,
            sessions=SessionTokens(app_id, key, entry.session, login_call=AlipayCheck.login_call),
            app_id=entry.app_id or app_id,
            private_key=read_private_key(key),
            endpoint=entry.endpoint,
            timeout_seconds=entry.timeout.total_seconds(),
            admit_login=self._admit_login,
        )

    def _verification_key(self, entry: caller_model.JwtCallers) -> VerificationKey | Jwks:
        from signer.callers.jwks import Jwks
        from signer.callers.verification_keys import key_from_pem, key_from_secret

        if entry.jwks_url is not None:
            return Jwks(self._outbound.jwks, entry.jwks_url)
        if entry.public_key is not None:
            return key_from_pem(entry.public_key)
        secret = "" if entry.secret is None else entry.secret.get_secret_value()
        return key_from_secret(secret, is_base64=entry.is_secret_base64)
