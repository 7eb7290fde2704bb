"""A form's proof holds for its own app, bucket, object and time, and for nothing else."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import Forbidden
from signer.signing.callback_proof import FormScope, read_proof, with_proof

URL = "https://sign.example.com/v1/apps/a/callback"
SECRET = b"0123456789abcdef"
SCOPE = FormScope("photos/o-1/", False, "o-1", 1_000)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


def query(scope: FormScope = SCOPE, secret: bytes = SECRET, app_id: str = "a", bucket: str = "photos") -> str:
    return urlsplit(with_proof(URL, secret, scope, app_id=app_id, bucket=bucket)).query


@given(key=KEYS, exact=st.booleans(), caller=st.none() | KEYS, ends_at=st.integers(0, 2**40))
def test_what_was_proven_is_read(key: str, exact: bool, caller: str | None, ends_at: int) -> None:
    scope = FormScope(key, exact, caller, ends_at)
    assert read_proof(query(scope), SECRET, app_id="a", bucket="photos") == scope


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
def test_any_other_is_refused(given: str, app_id: str, bucket: str) -> None:
    with pytest.raises(Forbidden):
        read_proof(given, SECRET, app_id=app_id, bucket=bucket)


def test_it_holds_for_its_prefix_or_key_until_the_form_ends() -> None:
    assert SCOPE.holds("photos/o-1/a.jpg", 1_000)
    assert SCOPE.holds("photos/o-1/a.jpg", 1_000 + 14 * 60)
    assert not SCOPE.holds("photos/o-1/a.jpg", 1_000 + 16 * 60)
    assert not SCOPE.holds("photos/o-1/", 1_000)
    assert not SCOPE.holds("photos/o-2/a.jpg", 1_000)
    exact = FormScope("a.jpg", True, None, 1_000)
    assert exact.holds("a.jpg", 0)
    assert not exact.holds("a.jpg.exe", 0)
