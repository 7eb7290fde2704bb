"""The state of the local cloud: accounts, roles, buckets and issued temporary credentials."""

from __future__ import annotations

import secrets
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cachetools import FIFOCache

from localcloud.cors import ANY_PAGE, Rules

Policy = dict[str, Any]

DEFAULT_ACCOUNT = "1234567890123456"
_MAX_TOKENS = 100_000
"""More than 15 minutes of the 6,000 calls a minute that STS allows one account."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A long-lived AccessKey of a RAM user."""

    id: str
    secret: str
    account: str
    enabled: bool = True
    policy: Policy | None = None
    """What its user may do at STS; None: everything."""


@dataclass(frozen=True, slots=True)
class Role:
    arn: str
    max_session_seconds: int = 3600
    external_id: str | None = None
    policy: Policy | None = None
    """None allows everything."""
    trusted: bool = True
    """Whether the callers of STS may assume it."""
    trust_policy: Policy | None = None
    """Who may assume it; None: everybody in an account of this cloud."""


@dataclass(frozen=True, slots=True)
class Token:
    """A temporary credential. It allows what its role and each of its session policies allow."""

    id: str
    secret: str
    security_token: str
    expiration: datetime
    account: str
    role_arn: str
    session_name: str
    policies: tuple[Policy, ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    region: str
    acl: str = "private"
    created: str = "2024-01-01T00:00:00.000Z"
    cors: Rules = ANY_PAGE
    lifecycle: str | None = None
    """The lifecycle rules as XML."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What faults change for one request."""

    clock_offset: timedelta = timedelta()
    life_seconds: float | None = None
    """Lifetime of issued tokens, negative for expired ones; None: as requested."""


EFFECTS: ContextVar[Effects] = ContextVar("EFFECTS", default=Effects())  # noqa: B039 (it is frozen)
"""The effects on the current request."""


def _tokens() -> FIFOCache[str, Token]:
    return FIFOCache(maxsize=_MAX_TOKENS)


@dataclass(slots=True)
class World:
    """Mutable: tests create buckets and keys, and set faults, while it runs."""

    access_keys: dict[str, AccessKey] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)
    """Custom domains: the bucket's name by host."""
    tokens: FIFOCache[str, Token] = field(default_factory=_tokens)
    """Expired ones too, so that they are rejected as expired. The oldest are dropped above the limit."""
    instance_role: str | None = "oss-uploader"
    hardened: bool = False
    public_read: bool = False
    """Whether reading objects needs no signature, whatever the ACL: a convenience that OSS does not have."""
    metadata_token_status: int | None = None
    """The response to requests for a metadata token: 404 in the normal mode, 405 behind a proxy; None: a token."""
    new_account: bool = False
    """Whether the account is too new for the default public endpoints of Chinese mainland regions."""
    token_seconds: int | None = None
    """Lifetime of every issued token; None: as requested."""
    callback_seconds: float = 5.0
    """Time limit of the application server for an upload callback."""
    counts: Counter[str] = field(default_factory=Counter)

    def now(self) -> datetime:
        """Return the time by the clock of the responding server."""
        return datetime.now(UTC) + EFFECTS.get().clock_offset

    def has_account(self, account: str) -> bool:
        return any(key.account == account for key in self.access_keys.values())

    def policies_of(self, token: Token) -> tuple[Policy, ...]:
        """Return the policies that must all allow an action."""
        return (*self.role_policies_of(token), *token.policies)

    def role_policies_of(self, token: Token) -> tuple[Policy, ...]:
        """Return the policy of the token's role, as it is now; none if the role may do everything."""
        role = self.roles.get(token.role_arn)
        return () if role is None or role.policy is None else (role.policy,)

    def issue(self, *, role_arn: str, session_name: str, seconds: int, policies: tuple[Policy, ...] = ()) -> Token:
        """Issue a temporary credential of the role, narrowed by session policies."""
        life_seconds = EFFECTS.get().life_seconds
        if life_seconds is None:
            life_seconds = self.token_seconds or seconds
        token = Token(
            id="STS." + secrets.token_hex(12),
            secret=secrets.token_urlsafe(32),
            security_token="CAIS" + secrets.token_urlsafe(180),
            expiration=(self.now() + timedelta(seconds=life_seconds)).replace(microsecond=0),
            account=account_of(role_arn),
            role_arn=role_arn,
            session_name=session_name,
            policies=policies,
        )
        self.tokens[token.id] = token
        return token


def role_arn(name: str, account: str) -> str:
    return f"acs:ram::{account}:role/{name}"


def account_of(role_arn: str) -> str:
    return role_arn.split("::")[1].split(":")[0]


def iso(moment: datetime) -> str:
    """Format a time as Alibaba Cloud does: `2015-04-09T11:52:19Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def default_world() -> World:
    """Return one account with one AccessKey. All roles and OIDC providers of a known account exist."""
    key = AccessKey("LTAI-local", "local-secret", DEFAULT_ACCOUNT)
    return World(access_keys={key.id: key})
