"""What exists in the local cloud: accounts, roles, buckets and the temporary credentials it has issued."""

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
"""STS takes 6,000 calls a minute of one account (help page `AssumeRole`): more than a quarter of an hour of them."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A RAM user's long-lived key."""

    id: str
    secret: str
    account: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Role:
    arn: str
    max_session_seconds: int = 3600
    external_id: str | None = None
    policy: Policy | None = None
    """None may do everything."""
    trusted: bool = True
    """Whether its trust policy lets those who call STS here assume it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A temporary credential; it may do what its role may and every one of its session policies allows."""

    id: str
    secret: str
    security_token: str
    expiration: datetime
    account: str
    role_arn: str
    policies: tuple[Policy, ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    region: str
    cors: Rules = ANY_PAGE


@dataclass(frozen=True, slots=True)
class Effects:
    """What faults change for one request."""

    clock_offset: timedelta = timedelta()
    life_seconds: float | None = None
    """How long what is issued lives, negative for what has already ended; None: as it should."""


EFFECTS: ContextVar[Effects] = ContextVar("EFFECTS", default=Effects())  # noqa: B039 (it is frozen)
"""Those on the request that is being answered."""


def _tokens() -> FIFOCache[str, Token]:
    return FIFOCache(maxsize=_MAX_TOKENS)


@dataclass(slots=True)
class World:
    """Mutable on purpose: buckets and access keys are made, and faults set, while it runs."""

    access_keys: dict[str, AccessKey] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)
    """Own domains of buckets: a bucket's name by host."""
    tokens: FIFOCache[str, Token] = field(default_factory=_tokens)
    """Ended ones too, so that they are refused as ended; the oldest are forgotten when there are too many."""
    instance_role: str | None = "oss-uploader"
    hardened: bool = False
    token_seconds: int | None = None
    """How long every issued token lives, whatever was asked for; None: as asked."""
    callback_seconds: float = 5.0
    """How long an application server has to answer an upload callback (help page `callback`)."""
    counts: Counter[str] = field(default_factory=Counter)

    def now(self) -> datetime:
        """The time by the clock of the server that answers."""
        return datetime.now(UTC) + EFFECTS.get().clock_offset

    def has_account(self, account: str) -> bool:
        return any(key.account == account for key in self.access_keys.values())

    def policies_of(self, token: Token) -> tuple[Policy, ...]:
        """All that have to allow what it does; the role's own counts as it is now."""
        role = self.roles.get(token.role_arn)
        return token.policies if role is None or role.policy is None else (role.policy, *token.policies)

    def issue(self, *, role_arn: str, seconds: int, policies: tuple[Policy, ...] = ()) -> Token:
        """A new temporary credential of that role, narrowed by session policies."""
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
            policies=policies,
        )
        self.tokens[token.id] = token
        return token


def role_arn(name: str, account: str) -> str:
    return f"acs:ram::{account}:role/{name}"


def account_of(role_arn: str) -> str:
    return role_arn.split("::")[1].split(":")[0]


def iso(moment: datetime) -> str:
    """As Alibaba Cloud writes times: `2015-04-09T11:52:19Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def default_world() -> World:
    """One account with one access key; the roles and OIDC providers of a known account all exist."""
    key = AccessKey("LTAI-local", "local-secret", DEFAULT_ACCOUNT)
    return World(access_keys={key.id: key})
