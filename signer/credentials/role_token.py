"""The current token of one role, and how long it is fresh and usable."""

import math
from datetime import UTC, datetime, timedelta

from signer.credentials.refresh_windows import RefreshWindows, TokenState
from signer.credentials.sources.credential_source import FetchFailed
from signer.credentials.token_cache import TokenCache
from signer.signing.v4 import Credential

_UNLIMITED = timedelta(days=36500)
_MAX_PINNED = 16
"""More than the different windows of the apps that share a role."""


class RoleToken:
    """A role's place in the cache that all roles share."""

    def __init__(self, tokens: TokenCache, windows: RefreshWindows) -> None:
        self.windows = windows
        self.expires_at: datetime | None = None
        """When the last token expires or expired; None if there was none, or it does not expire."""
        self.fetched_at: datetime | None = None
        self._tokens = tokens
        self._is_removed = False
        self._is_rejected = False
        """Whether the next token replaces the current one in any case."""
        self.revocations = 0
        """How many tokens were revoked: other credentials of the role are revoked with them."""
        self._discarded: Credential | None = None
        """The rejected token, to recognize it if its source returns it again."""
        self.is_reissued = False
        """Whether the source returned the rejected token again; if so, another rejection does not discard it."""
        self._final: Credential | None = None
        """The token of a removed role, for requests that started with earlier definitions."""
        self._pinned: dict[tuple[datetime, datetime], Credential] = {}
        """By start and end of a period, the token that it began with; the oldest are dropped."""

    def current(self) -> Credential | None:
        """Return the token, or None if there is none that is usable."""
        if not self._is_removed:
            return self._tokens[self]
        token = self._final
        return token if token is not None and self._tokens.timer() < self.usable_until(token) else None

    def pinned(self, start: datetime, end: datetime) -> Credential | None:
        """Return the token that the period from `start` to `end` began with, or None if none was pinned to it."""
        return self._pinned.get((start, end))

    def pin(self, token: Credential, start: datetime, end: datetime) -> None:
        """Keep a token for the period, whichever is the current one, unless it ends sooner or does not expire."""
        if token.expiration is not None and token.expiration >= end:
            if len(self._pinned) >= _MAX_PINNED:
                del self._pinned[next(iter(self._pinned))]
            self._pinned[start, end] = token

    def apply(self, windows: RefreshWindows) -> None:
        """Apply other windows, which decide how long the current token is usable."""
        self.windows = windows
        token = self.current()
        if token is not None:
            self.store(token)

    def store(self, token: Credential) -> None:
        """Make a token the current one."""
        self.expires_at = token.expiration
        if self._is_removed:
            self._final = token
        else:
            self._tokens[self] = token

    def record_fetch(self, token: Credential) -> bool:
        """Store a token that was fetched, and return whether it is another one."""
        is_new = token != (self._discarded or self.current())
        self.is_reissued = self._is_rejected and not is_new
        if self._is_rejected:
            self._pinned.clear()
        self._is_rejected, self._discarded = False, None
        self.store(token)
        if is_new:
            self.fetched_at = self.now()
        return is_new

    def reject(self, *, keep: bool) -> None:
        """Let the next token replace the current one even if it ends sooner, and discard the current one or keep it."""
        self._is_rejected = True
        self._pinned.clear()
        self.revocations += not keep
        if not keep and not self._is_removed:
            self._discarded = self._tokens.pop(self, None) or self._discarded
            self.expires_at = None

    def remove(self) -> None:
        """Remove the token from the cache, so that a role that is added later does not find it."""
        self._final = self._tokens.pop(self, None)
        self._pinned.clear()
        self._is_removed = True

    def validate(self, token: Credential) -> None:
        """Raise `FetchFailed` for a fetched token that is not usable, or worse than the current one."""
        remaining = self.remaining(token)
        if self.windows.token_state(remaining) is TokenState.UNUSABLE:
            raise FetchFailed("the credential has expired or expires too soon; check the clocks")
        current = self.current()
        if current is not None and not self._is_rejected and remaining < self.remaining(current):
            raise FetchFailed("the credential expires before the current one")

    def usable_until(self, token: Credential) -> float:
        """Return the time until which a token may be used to sign, in epoch seconds."""
        return math.inf if token.expiration is None else (token.expiration - self.windows.min_lifetime).timestamp()

    def usable_seconds(self, token: Credential) -> float:
        """Return how much longer a token may be used to sign."""
        return self.usable_until(token) - self._tokens.timer()

    def state(self) -> TokenState:
        """Return how useful the current token is; safe in any thread."""
        if self not in self._tokens:
            return TokenState.UNUSABLE
        return self.windows.token_state(_UNLIMITED if self.expires_at is None else self.expires_at - self.now())

    def remaining(self, token: Credential) -> timedelta:
        """Return how much of a token's lifetime is left."""
        return _UNLIMITED if token.expiration is None else token.expiration - self.now()

    def now(self) -> datetime:
        """Return the time of the cache's clock."""
        return datetime.fromtimestamp(self._tokens.timer(), UTC)
