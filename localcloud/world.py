"""What exists in the local cloud: accounts, roles, buckets and the temporary credentials it has issued."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Policy = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A RAM user's long-lived key."""

    id: str
    secret: str
    account: str


@dataclass(frozen=True, slots=True)
class Role:
    arn: str
    max_session_seconds: int = 3600
    external_id: str | None = None
    policy: Policy | None = None
    """None may do everything."""


@dataclass(frozen=True, slots=True)
class Token:
    """A temporary credential; it may do what every one of its policies allows."""

    id: str
    secret: str
    security_token: str
    expiration: datetime
    account: str
    policies: tuple[Policy, ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    region: str
    cors_origins: tuple[str, ...] = ("*",)


@dataclass(slots=True)
class World:
    """Mutable on purpose: buckets are made and faults are set while it runs."""

    access_keys: dict[str, AccessKey] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    instance_role: str | None = "oss-uploader"
    hardened: bool = False
    token_seconds: int | None = None
    """How long every issued token lives, whatever was asked for; None: as asked."""
    counts: Counter[str] = field(default_factory=Counter)
    clock_offset: dict[str, timedelta] = field(default_factory=dict)
    life_fault: dict[str, float] = field(default_factory=dict)
    """By server: how many seconds what it issues lives, negative for what has already ended."""

    def now(self, server: str) -> datetime:
        """The time as this server's clock has it."""
        return datetime.now(UTC) + self.clock_offset.get(server, timedelta())

    def issue(self, server: str, *, account: str, seconds: int, policies: tuple[Policy, ...] = ()) -> Token:
        """A new temporary credential. Ended ones are forgotten a day later."""
        now = self.now(server)
        life = timedelta(seconds=self.life_fault.get(server, self.token_seconds or seconds))
        self.tokens = {key: token for key, token in self.tokens.items() if now - token.expiration < timedelta(days=1)}
        token = Token(
            id="STS." + secrets.token_hex(12),
            secret=secrets.token_urlsafe(32),
            security_token="CAIS" + secrets.token_urlsafe(180),
            expiration=(now + life).replace(microsecond=0),
            account=account,
            policies=policies,
        )
        self.tokens[token.id] = token
        return token


def account_of(role_arn: str) -> str:
    return role_arn.split("::")[1].split(":")[0]


def iso(moment: datetime) -> str:
    """As Alibaba Cloud writes times: `2015-04-09T11:52:19Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def default_world() -> World:
    """One account with one access key; the roles of a known account all exist."""
    key = AccessKey("LTAI-local", "local-secret", "1234567890123456")
    return World(access_keys={key.id: key})
