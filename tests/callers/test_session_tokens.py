"""Session tokens: their caller, their lifetime, and which are rejected."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import jwt
import pytest

from signer.callers.caller import Caller
from signer.callers.session_tokens import SessionTokens
from signer.errors import Unauthenticated
from tests.callers.signing_keys import encoded, hand_made
from tests.harness.waiting import wait_until

SECRET = "5f3d6a1c9b7e4208a1c2d3e4f5a6b7c8"
LIFETIME = timedelta(hours=2)
HOUR = 3600
DAY = 24 * HOUR


def sessions(
    app: str = "photos", secret: str = SECRET, *, ago: float = 0, lifetime: timedelta = LIFETIME
) -> SessionTokens:
    """Return session tokens with a clock that is `ago` seconds behind."""
    return SessionTokens(app, secret, lifetime, now=lambda: time.time() - ago)


def token(of: SessionTokens, caller: str = "anna") -> str:
    begun = of.start(caller)
    assert begun.session is not None
    return begun.session.token


def is_refused(of: SessionTokens, session: str) -> bool:
    with pytest.raises(Unauthenticated) as raised:
        of.resume(session)
    assert raised.value.detail.endswith("call wx.login and send its code in X-WX-Code")
    return True


def test_signers_with_the_same_definitions_accept_each_others_sessions() -> None:
    one, other = sessions(), sessions()
    assert other.resume(token(one)).id == "anna"
    assert one.resume(token(other, "bert")).id == "bert"


def test_a_session_is_renewed_in_its_second_half() -> None:
    assert sessions().resume(token(sessions(ago=0.9 * HOUR))).session is None
    renewed = sessions().resume(token(sessions(ago=1.1 * HOUR)))
    assert renewed.id == "anna"
    assert renewed.session is not None
    assert renewed.session.expires_in_seconds == 2 * HOUR
    again = sessions(ago=-1.9 * HOUR).resume(renewed.session.token)
    assert again.id == "anna"


def test_a_session_is_not_renewed_a_week_after_the_login() -> None:
    ten_days = timedelta(days=10)
    first = token(sessions(ago=6 * DAY, lifetime=ten_days))
    renewed = sessions(lifetime=ten_days).resume(first)
    assert renewed.session is not None
    # Six days later it is in its second half, but the login was twelve days ago.
    later = sessions(ago=-6 * DAY, lifetime=ten_days)
    assert later.resume(renewed.session.token) == Caller("anna", None)
    assert later.resume(token(sessions(lifetime=ten_days))).session is not None


REFUSED: dict[str, Callable[[], str]] = {
    "of another app": lambda: token(sessions("videos")),
    "of another secret": lambda: token(sessions(secret=SECRET.upper())),
    "over": lambda: token(sessions(ago=2 * HOUR + 1)),
    "another caller's name in it": lambda: _with_payload(token(sessions()), sub="bert"),
    "a later end in it": lambda: _with_payload(token(sessions()), exp=2**40),
    "signed with nothing": lambda: hand_made({"alg": "none", "typ": "JWT"}, _claims()),
    "signed with nothing, in capitals": lambda: hand_made({"alg": "NONE"}, _claims()),
    "signed with the secret itself": lambda: hand_made({"alg": "HS256"}, _claims(), SECRET.encode()),
    "signed with the app's id": lambda: hand_made({"alg": "HS256"}, _claims(), b"photos"),
    "signed with an empty key": lambda: hand_made({"alg": "HS256"}, _claims(), b""),
    "cut": lambda: token(sessions())[:-1],
    "without signature": lambda: token(sessions()).rpartition(".")[0] + ".",
    "twice": lambda: token(sessions()) + token(sessions()),
    "empty": lambda: "",
    "dots": lambda: "..",
    "bytes that are no text": lambda: "\udcff\udc80.x.y",
    "long": lambda: token(sessions()) + "A" * 10_000,
    "deep": lambda: f"{encoded(b'[' * 5000)}.{encoded(b'[' * 5000)}.",
}


def _claims() -> dict[str, object]:
    now = int(time.time())
    return {"sub": "bert", "aud": "photos", "exp": now + HOUR, "auth_time": now}


def _with_payload(session: str, **changes: object) -> str:
    """Return the session with other claims and its old signature."""
    header, _, signature = session.split(".")
    claims = {**jwt.decode(session, options={"verify_signature": False}), **changes}
    return f"{header}.{hand_made({}, claims).split('.')[1]}.{signature}"


@pytest.mark.parametrize("made", REFUSED.values(), ids=list(REFUSED))
def test_other_tokens_are_rejected(made: Callable[[], str]) -> None:
    assert is_refused(sessions(), made())
    assert sessions().resume(token(sessions())).id == "anna"


def test_apps_do_not_share_verified_tokens() -> None:
    photos, videos = sessions(), sessions("videos")
    session = token(photos)
    assert photos.resume(session).id == "anna"
    assert photos.resume(session).id == "anna"
    assert is_refused(videos, session)


async def test_a_cached_session_expires() -> None:
    signer = sessions(lifetime=timedelta(seconds=2))
    session = token(signer)
    assert signer.resume(session).id == "anna"

    def is_rejected() -> bool:
        try:
            signer.resume(session)
        except Unauthenticated:
            return True
        return False

    await wait_until(is_rejected)
