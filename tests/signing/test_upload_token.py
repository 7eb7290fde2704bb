"""The token of a multipart upload: its holder can neither read nor change it, and only its app and caller can use it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import InvalidRequest, UploadGone
from signer.signing.multipart import MAX_TOKEN_CHARACTERS, PendingUpload
from signer.signing.upload_token import UploadTokens
from tests.signing.test_multipart import UPLOAD

OLD, NEW, OTHER = "o" * 32, "n" * 32, "x" * 32
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def decode(tokens: UploadTokens, token: str) -> PendingUpload:
    return tokens.decode(token, app_id=UPLOAD.app_id, caller=UPLOAD.caller)


@given(key=TEXTS, upload_id=TEXTS, variables=st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_an_upload_is_decrypted_as_it_was(key: str, upload_id: str, variables: dict[str, str]) -> None:
    tokens = UploadTokens([NEW])
    upload = replace(UPLOAD, key=key, upload_id=upload_id, vars=variables)
    assert decode(tokens, tokens.encode(upload)) == upload


@pytest.mark.parametrize("caller", [None, "ann", "a\udc80", "x" * 500])
def test_any_caller_has_tokens_of_its_own(caller: str | None) -> None:
    tokens = UploadTokens([NEW])
    token = tokens.encode(replace(UPLOAD, caller=caller))
    assert tokens.decode(token, app_id="video", caller=caller).caller == caller
    for other in (None, "ann", "bob"):
        if other != caller:
            with pytest.raises(UploadGone):
                tokens.decode(token, app_id="video", caller=other)


def test_the_first_secret_encrypts_and_each_decrypts() -> None:
    old, both, new = UploadTokens([OLD]), UploadTokens([NEW, OLD]), UploadTokens([NEW])
    assert decode(both, old.encode(UPLOAD)) == UPLOAD
    assert decode(new, both.encode(UPLOAD)) == UPLOAD
    for token in (old.encode(UPLOAD), UploadTokens([OTHER]).encode(UPLOAD)):
        with pytest.raises(UploadGone):
            decode(new, token)


def test_two_tokens_of_one_upload_differ_and_show_nothing() -> None:
    tokens = UploadTokens([NEW])
    first, second = tokens.encode(UPLOAD), tokens.encode(UPLOAD)
    assert first != second
    assert first.isascii() and "=" not in first
    assert UPLOAD.app_id not in first and UPLOAD.key not in first


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_other_text_is_no_token(text: str) -> None:
    with pytest.raises(UploadGone):
        decode(UploadTokens([NEW]), text)


def test_a_token_has_a_limit() -> None:
    tokens = UploadTokens([NEW])
    longest = replace(UPLOAD, key="k" * 1023, vars={f"v{number}": "x" * 1000 for number in range(5)})
    assert len(tokens.encode(longest)) <= MAX_TOKEN_CHARACTERS
    with pytest.raises(InvalidRequest):
        tokens.encode(replace(UPLOAD, vars={f"v{number}": "x" * 1000 for number in range(20)}))
