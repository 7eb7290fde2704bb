"""The cache of tokens, with a clock that the test controls."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from signer.credentials.token_cache import TokenCache
from signer.signing.v4 import Credential

TOKEN, OTHER = Credential("STS.1", "secret", "token"), Credential("STS.2", "secret", "token")


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(eq=False)
class Owner:
    until: float = 1100.0

    def usable_until(self, token: Credential) -> float:
        return self.until


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> TokenCache:
    return TokenCache(clock)


def test_a_token_ends_when_it_is_no_longer_usable(tokens: TokenCache, clock: Clock) -> None:
    owner = Owner()
    assert tokens[owner] is None
    tokens[owner] = TOKEN
    clock.seconds = 1099.0
    assert owner in tokens
    assert tokens[owner] is TOKEN
    clock.seconds = 1100.0
    assert owner not in tokens
    assert tokens[owner] is None


def test_an_unusable_token_removes_the_earlier_one(tokens: TokenCache) -> None:
    owner = Owner()
    tokens[owner] = TOKEN
    owner.until = 999.0
    tokens[owner] = OTHER
    assert tokens[owner] is None


def test_a_removed_token_is_returned_while_it_is_usable(tokens: TokenCache, clock: Clock) -> None:
    first, second = Owner(), Owner()
    tokens[first] = TOKEN
    tokens[second] = OTHER
    assert tokens.pop(first, None) is TOKEN
    assert tokens[first] is None
    clock.seconds = 1100.0
    assert tokens.pop(second, None) is None


def test_more_owners_evict_no_token(tokens: TokenCache) -> None:
    owners = [Owner() for _ in range(1000)]
    for owner in owners:
        tokens[owner] = TOKEN
    assert all(owner in tokens for owner in owners)
