"""Several kinds for one app: the first whose credential is there decides."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import aiohttp
import pytest

from signer.callers.api_key import ApiKeyCheck
from signer.callers.first_match import FirstMatchCheck
from signer.callers.jwt_bearer import JwtBearerCheck, JwtRules
from signer.callers.open import OpenCheck
from signer.callers.session_tokens import SessionTokens
from signer.callers.verification_keys import key_from_secret
from signer.callers.wechat import WeChatCheck
from signer.errors import Unauthenticated
from tests.callers.local_wechat import SECRET
from tests.callers.requests import caller, refused, sent
from tests.callers.signing_keys import SHARED, signed

SESSIONS = SessionTokens("photos", SECRET, timedelta(hours=2))
KEY = ("X-Api-Key", "the-key")
WRONG_KEY = ("X-Api-Key", "wrong")
NAMED = ("X-Caller", "bert")


def bearer(subject: str = "anna") -> tuple[str, str]:
    return ("Authorization", f"Bearer {signed(SHARED, 'HS256', sub=subject)}")


def session(subject: str = "user") -> tuple[str, str]:
    begun = SESSIONS.start(subject).session
    assert begun is not None
    return ("X-Session", begun.token)


@pytest.fixture
def kinds(outbound: aiohttp.ClientSession) -> FirstMatchCheck:
    wechat = WeChatCheck(
        outbound, SESSIONS, app_id="wx1", secret=SECRET, endpoint="http://127.0.0.1:1", timeout_seconds=3
    )
    jwt = JwtBearerCheck(key_from_secret(SHARED), JwtRules())
    return FirstMatchCheck([wechat, jwt, ApiKeyCheck({"shop": sha256(b"the-key").hexdigest()})])


async def test_each_kind_is_taken(kinds: FirstMatchCheck) -> None:
    assert await caller(kinds, sent(session())) == "user"
    assert await caller(kinds, sent(bearer())) == "anna"
    assert await caller(kinds, sent(KEY, NAMED)) == "bert"


async def test_the_first_that_is_there_decides(kinds: FirstMatchCheck) -> None:
    assert await caller(kinds, sent(KEY, NAMED, bearer(), session())) == "user"
    assert await caller(kinds, sent(KEY, NAMED, bearer())) == "anna"
    assert await caller(kinds, sent(("X-Session", ""), bearer())) == "anna"
    assert await caller(kinds, sent(("Authorization", "Basic eDp5"), KEY)) == "shop"


async def test_a_wrong_credential_is_not_passed_over(kinds: FirstMatchCheck) -> None:
    await refused(kinds, sent(("X-Session", "wrong"), bearer(), KEY), Unauthenticated, "session")
    await refused(kinds, sent(("Authorization", "Bearer wrong"), KEY), Unauthenticated, "token")
    await refused(kinds, sent(WRONG_KEY), Unauthenticated, "X-Api-Key")


async def test_a_wrong_credential_is_not_anyone_either() -> None:
    kinds = FirstMatchCheck([ApiKeyCheck({"shop": sha256(b"the-key").hexdigest()}), OpenCheck()])
    assert await caller(kinds, sent(KEY)) == "shop"
    assert await caller(kinds, sent()) is None
    await refused(kinds, sent(WRONG_KEY), Unauthenticated)


async def test_nothing_at_all_is_refused(kinds: FirstMatchCheck) -> None:
    assert not kinds.has_credential(sent(NAMED))
    assert kinds.has_credential(sent(KEY))
    await refused(kinds, sent(NAMED), Unauthenticated, "send one of the credentials")
