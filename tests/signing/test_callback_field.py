"""The proof of a form is valid only for its own app, bucket, object and lifetime."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import Forbidden
from signer.signing.callback_field import FormScope, add_proof, check_proof

URL = "https://sign.example.com/v1/apps/a/callback"
SECRET = b"0123456789abcdef"
SCOPE = FormScope("photos", "photos/o-1/", False, "o-1", 1_000)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


def query(scope: FormScope = SCOPE, secret: bytes = SECRET, app_id: str = "a") -> str:
    return urlsplit(add_proof(URL, secret, scope, app_id=app_id)).query


@given(key=KEYS, exact=st.booleans(), caller=st.none() | KEYS, expires_at=st.integers(0, 2**40))
def test_scope_survives_the_round_trip(key: str, exact: bool, caller: str | None, expires_at: int) -> None:
    scope = FormScope("photos", key, exact, caller, expires_at)
    assert check_proof(query(scope), SECRET, app_id="a", now=expires_at).scope == scope


@pytest.mark.parametrize(
    ("given", "app_id"),
    [
        pytest.param(query(), "b", id="another app"),
        pytest.param(query(secret=b"another secret"), "a", id="another secret"),
        pytest.param(
            query(FormScope("photos", "photos/", False, None, 1_000)).split("&")[0] + "&" + query().split("&")[1],
            "a",
            id="another scope",
        ),
        pytest.param(query().split("&")[0], "a", id="no proof"),
        pytest.param(query().split("&")[1], "a", id="no scope"),
        pytest.param(query() + "&" + query(), "a", id="twice"),
        pytest.param("scope=&proof=", "a", id="empty"),
        pytest.param("", "a", id="nothing"),
        pytest.param("scope=\udcff&proof=\udcff", "a", id="no text"),
    ],
)
def test_query_without_a_valid_proof_is_rejected(given: str, app_id: str) -> None:
    with pytest.raises(Forbidden):
        check_proof(given, SECRET, app_id=app_id, now=0)


def test_proof_ends_with_its_form() -> None:
    assert check_proof(query(), SECRET, app_id="a", now=1_000 + 14 * 60).ends_at == 1_000 + 15 * 60
    with pytest.raises(Forbidden, match="expired"):
        check_proof(query(), SECRET, app_id="a", now=1_000 + 16 * 60)


def test_scope_allows_its_key_or_prefix() -> None:
    assert SCOPE.allows("photos", "photos/o-1/a.jpg")
    assert not SCOPE.allows("other", "photos/o-1/a.jpg")
    assert not SCOPE.allows("photos", "photos/o-1/")
    assert not SCOPE.allows("photos", "photos/o-2/a.jpg")
    exact = FormScope("photos", "a.jpg", True, None, 1_000)
    assert exact.allows("photos", "a.jpg")
    assert not exact.allows("photos", "a.jpg.exe")
