"""Several types of callers for one app."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import aiohttp
import pytest

from signer.callers.api_key import ApiKeyCheck
from signer.callers.first_match import FirstMatchCheck
from signer.callers.jwt_bearer import JwtBearerCheck
from signer.callers.jwt_verification import JwtRules
from signer.callers.open import OpenCheck
from signer.callers.session_tokens import SessionTokens
from signer.callers.verification_keys import key_from_secret
from signer.callers.wechat import WeChatCheck
from signer.errors import Unauthenticated
from tests.callers.local_wechat import SECRET
from tests.callers.requests import admit_all, assert_rejected, caller_id, request
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
        outbound=outbound,
        sessions=SESSIONS,
        app_id="wx1",
        secret=SECRET,
        endpoint="http://127.0.0.1:1",
        timeout_seconds=3,
        admit_login=admit_all,
    )
    jwt = JwtBearerCheck(key_from_secret(SHARED), JwtRules())
    return FirstMatchCheck([wechat, jwt, ApiKeyCheck({"shop": sha256(b"the-key").hexdigest()})])


async def test_each_type_is_accepted(kinds: FirstMatchCheck) -> None:
    assert await caller_id(kinds, request(session())) == "user"
    assert await caller_id(kinds, request(bearer())) == "anna"
    assert await caller_id(kinds, request(KEY, NAMED)) == "bert"


async def test_the_first_credential_in_the_request_decides(kinds: FirstMatchCheck) -> None:
    assert await caller_id(kinds, request(KEY, NAMED, bearer(), session())) == "user"
    assert await caller_id(kinds, request(KEY, NAMED, bearer())) == "anna"
    assert await caller_id(kinds, request(("X-Session", ""), bearer())) == "anna"
    assert await caller_id(kinds, request(("Authorization", "Basic eDp5"), KEY)) == "shop"


async def test_after_a_wrong_credential_no_other_type_is_tried(kinds: FirstMatchCheck) -> None:
    await assert_rejected(kinds, request(("X-Session", "wrong"), bearer(), KEY), Unauthenticated, "session")
    await assert_rejected(kinds, request(("Authorization", "Bearer wrong"), KEY), Unauthenticated, "token")
    await assert_rejected(kinds, request(WRONG_KEY), Unauthenticated, "X-Api-Key")


async def test_a_wrong_credential_is_rejected_even_before_open() -> None:
    kinds = FirstMatchCheck([ApiKeyCheck({"shop": sha256(b"the-key").hexdigest()}), OpenCheck()])
    assert await caller_id(kinds, request(KEY)) == "shop"
    assert await caller_id(kinds, request()) is None
    await assert_rejected(kinds, request(WRONG_KEY), Unauthenticated)


async def test_a_request_without_a_credential_is_rejected(kinds: FirstMatchCheck) -> None:
    assert not kinds.has_credential(request(NAMED))
    assert kinds.has_credential(request(KEY))
    await assert_rejected(kinds, request(NAMED), Unauthenticated, "send one of the credentials")
