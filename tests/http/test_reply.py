"""An answer never has more headers than it was given."""

from __future__ import annotations

import pytest

from signer.http.reply import Reply


@pytest.mark.parametrize("value", ["a\nX-Injected: yes", "a\rX-Injected: yes", "a\r\n\r\nbody"])
def test_a_line_break_in_a_header_is_refused(value: str) -> None:
    reply = Reply(200, b"{}")
    reply.headers["X-Session"] = value
    with pytest.raises(ValueError, match="a line break"):
        reply.encode()
