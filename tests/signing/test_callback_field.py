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
SCOPE = FormScope("photos/o-1/", False, "o-1", 1_000)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


def query(scope: FormScope = SCOPE, secret: bytes = SECRET, app_id: str = "a", bucket: str = "photos") -> str:
    return urlsplit(add_proof(URL, secret, scope, app_id=app_id, bucket=bucket)).query


@given(key=KEYS, exact=st.booleans(), caller=st.none() | KEYS, expires_at=st.integers(0, 2**40))
def test_scope_survives_the_round_trip(key: str, exact: bool, caller: str | None, expires_at: int) -> None:
    scope = FormScope(key, exact, caller, expires_at)
    assert check_proof(query(scope), SECRET, app_id="a", bucket="photos") == scope


@pytest.mark.parametrize(
    ("given", "app_id", "bucket"),
    [
        pytest.param(query(), "b", "photos", id="another app"),
        pytest.param(query(), "a", "other", id="another bucket"),
        pytest.param(query(secret=b"another secret"), "a", "photos", id="another secret"),
        pytest.param(query(FormScope("photos/", False, None, 1_000)).split("&")[0] + "&" + query().split("&")[1], "a",
                     "photos", id="another scope"),
        pytest.param(query().split("&")[0], "a", "photos", id="no proof"),
        pytest.param(query().split("&")[1], "a", "photos", id="no scope"),
        pytest.param(query() + "&" + query(), "a", "photos", id="twice"),
        pytest.param("scope=&proof=", "a", "photos", id="empty"),
        pytest.param("", "a", "photos", id="nothing"),
        pytest.param("scope=\udcff&proof=\udcff", "a", "photos", id="no text"),
    ],
)  # fmt: skip
def test_query_without_a_valid_proof_is_rejected(given: str, app_id: str, bucket: str) -> None:
    with pytest.raises(Forbidden):
        check_proof(given, SECRET, app_id=app_id, bucket=bucket)


def test_scope_allows_its_key_or_prefix_until_the_form_expires() -> None:
    assert SCOPE.allows("photos/o-1/a.jpg", 1_000)
    assert SCOPE.allows("photos/o-1/a.jpg", 1_000 + 14 * 60)
    assert not SCOPE.allows("photos/o-1/a.jpg", 1_000 + 16 * 60)
    assert not SCOPE.allows("photos/o-1/", 1_000)
    assert not SCOPE.allows("photos/o-2/a.jpg", 1_000)
    exact = FormScope("a.jpg", True, None, 1_000)
    assert exact.allows("a.jpg", 0)
    assert not exact.allows("a.jpg.exe", 0)
