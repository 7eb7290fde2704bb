"""From what the definitions say to the objects that do it: sources of credentials and caller checks.

Alibaba's SDKs and PyJWT take longer to load than all the rest, so what needs them is imported where it is named.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from signer.callers.api_key import ApiKeyCheck
from signer.callers.caller import CallerCheck
from signer.callers.first_match import FirstMatchCheck
from signer.callers.open import OpenCheck
from signer.callers.plugins import load
from signer.credentials.keeper import RolePlan
from signer.credentials.refresh_windows import RefreshWindows
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.access_key import AccessKeySource, CannotReadKey
from signer.credentials.sources.credential_source import Source
from signer.credentials.sources.source_role import ChainedRoleSource, RoleCredentials
from signer.definitions import model
from signer.definitions.references import BadReference, fill
from signer.definitions.registry import KeyTexts, Registry, Role
from signer.environment import CannotReadEnvironment, Environment
from signer.signing.v4 import Credential

if TYPE_CHECKING:
    from signer.callers.jwks import Jwks
    from signer.callers.verification_keys import VerificationKey

_BASE_COVER = timedelta(minutes=5)
"""How long a credential must live that only assumes other roles."""

_KEY_MEMBERS = ("access_key_id", "access_key_secret", "security_token")


class Sources:
    """Makes the sources of roles, from the definitions and the environment that their keys refer to."""

    def __init__(self, sdk: SdkThread, environment: Environment) -> None:
        self._sdk = sdk
        self._environment = environment

    def plans(self, registry: Registry, kept: RoleCredentials) -> dict[str, RolePlan]:
        """A plan for each role that an enabled app uses, and for those that they are assumed with.

        `kept` is where roles find each other's credentials.
        """
        roles = {key: registry.roles[key] for key in registry.longest_expires()}
        covers = dict(registry.longest_expires())
        for role in list(roles.values()):
            source = role.source
            while source is not None:
                roles[source.name] = source
                covers[source.name] = max(covers.get(source.name, _BASE_COVER), _BASE_COVER)
                source = source.source
        return {key: self._plan(role, covers[key], kept) for key, role in roles.items()}

    def _plan(self, role: Role, cover: timedelta, kept: RoleCredentials) -> RolePlan:
        windows = RefreshWindows(cover, role.entry.min_remaining)
        return RolePlan(_identity(role), self._source(role, kept), windows, grants=_grants(role))

    def _source(self, role: Role, kept: RoleCredentials) -> Source:
        entry = role.entry
        deadline_seconds = entry.timeout.total_seconds()
        if isinstance(entry, model.EcsRamRole):
            from signer.credentials.sources.ecs_ram_role import EcsRamRoleSource

            return EcsRamRoleSource(
                self._sdk, endpoint=entry.endpoint, role_name=entry.role_name, deadline_seconds=deadline_seconds
            )
        if isinstance(entry, model.DefaultChain):
            from signer.credentials.sources.default_chain import DefaultChainSource

            return DefaultChainSource(self._sdk, deadline_seconds=deadline_seconds)
        if isinstance(entry, model.Static):
            return self._access_key(role)
        from signer.credentials.sources.assume_role import AssumeRoleSource
        from signer.credentials.sources.oidc import OidcSource
        from signer.credentials.sources.sts_call import RoleRequest

        assumption = RoleRequest(
            role_arn=entry.role_arn,
            session_name=entry.session_name,
            duration=entry.duration,
            external_id=entry.external_id if isinstance(entry, model.AssumeRole) else None,
            session_policy=role.session_policy,
        )
        if isinstance(entry, model.Oidc):
            return OidcSource(
                self._sdk,
                assumption,
                provider_arn=entry.provider_arn,
                token_file=Path(entry.token_file),
                endpoint=entry.endpoint,
                deadline_seconds=deadline_seconds,
            )
        base = self._access_key(role) if role.source is None else ChainedRoleSource(role.source.name, kept)
        return AssumeRoleSource(
            self._sdk, assumption, base=base, endpoint=entry.endpoint, deadline_seconds=deadline_seconds
        )

    def _access_key(self, role: Role) -> AccessKeySource:
        key = role.key
        if key is None:
            raise ValueError(f"{role.name} has neither an AccessKey nor a source")
        return AccessKeySource(lambda: _filled(key, self._environment))


def _filled(key: KeyTexts, environment: Environment) -> Credential:
    try:
        environ = environment.read()
        token = None if key.security_token is None else fill(key.security_token, environ)
        return Credential(fill(key.access_key_id, environ), fill(key.access_key_secret, environ), token)
    except (BadReference, CannotReadEnvironment) as error:
        raise CannotReadKey(str(error)) from None


def _grants(role: Role) -> Hashable:
    """What makes two tokens worth the same, whichever key they were fetched with."""
    entry = role.entry
    without_key = entry.model_copy(update={name: None for name in _KEY_MEMBERS if name in type(entry).model_fields})
    return without_key, role.session_policy, None if role.source is None else _grants(role.source)


class _Identity:
    """What makes two roles equal, its hash worked out once: ten thousand of them are compared at each reload."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, *parts: Hashable) -> None:
        self._parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self._hash == other._hash and self._parts == other._parts


def _identity(role: Role) -> Hashable:
    return _Identity(_grants(role), role.key, None if role.source is None else _identity(role.source))


class CallerChecks:
    """Makes the caller checks of apps; `outbound` is the session in which they ask others."""

    def __init__(self, outbound: aiohttp.ClientSession) -> None:
        self._outbound = outbound

    def of(
        self, registry: Registry, former: Registry | None = None, checks: Mapping[str, CallerCheck] | None = None
    ) -> dict[str, CallerCheck]:
        """A check for each enabled app; those of apps whose `callers` did not change go on with what they know."""
        kept = {
            app_id: check
            for app_id, check in (checks or {}).items()
            if former is not None
            and app_id in registry.apps
            and registry.apps[app_id].callers == former.apps[app_id].callers
        }
        return {
            app.id: kept.get(app.id) or self._check(app.id, app.callers)
            for app in registry.apps.values()
            if app.enabled
        }

    def _check(self, app_id: str, entries: Sequence[model.AnyCallers]) -> CallerCheck:
        checks = [self._kind(app_id, entry) for entry in entries]
        return checks[0] if len(checks) == 1 else FirstMatchCheck(checks)

    def _kind(self, app_id: str, entry: model.AnyCallers) -> CallerCheck:
        if isinstance(entry, model.OtherCallers):
            return load(entry.type)(entry.model_dump(), app_id)
        if isinstance(entry, model.ApiKeyCallers):
            return ApiKeyCheck(entry.keys)
        if isinstance(entry, model.WeChatCallers):
            from signer.callers.session_tokens import SessionTokens
            from signer.callers.wechat import WeChatCheck

            secret = entry.secret.get_secret_value()
            return WeChatCheck(
                self._outbound,
                SessionTokens(app_id, secret, entry.session),
                app_id=entry.app_id or app_id,
                secret=secret,
                endpoint=entry.endpoint,
                timeout_seconds=entry.timeout.total_seconds(),
            )
        if isinstance(entry, model.JwtCallers):
            from signer.callers.jwt_bearer import JwtBearerCheck, JwtRules

            rules = JwtRules(entry.claim, entry.issuer, entry.audience, entry.leeway.total_seconds())
            return JwtBearerCheck(self._jwt_key(entry), rules)
        return OpenCheck()

    def _jwt_key(self, entry: model.JwtCallers) -> VerificationKey | Jwks:
        from signer.callers.jwks import Jwks
        from signer.callers.verification_keys import from_pem, from_secret

        if entry.jwks_url is not None:
            return Jwks(self._outbound, entry.jwks_url)
        if entry.public_key is not None:
            return from_pem(entry.public_key)
        return from_secret("" if entry.secret is None else entry.secret.get_secret_value())
