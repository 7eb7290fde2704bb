"""The bytes of a response never have more headers than the reply."""

from __future__ import annotations

import pytest

from signer.http.fast import encode
from signer.http.reply import Reply


@pytest.mark.parametrize("value", ["a\nX-Injected: yes", "a\rX-Injected: yes", "a\r\n\r\nbody"])
def test_line_breaks_in_headers_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        encode(Reply(200, headers={"Access-Control-Allow-Origin": value}))
