"""An answer never has more headers than it was given."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from signer.web.reply import Reply


@pytest.mark.parametrize("value", ["a\nX-Injected: yes", "a\r\n\r\nbody"])
async def test_a_line_break_in_a_header_is_refused(value: str) -> None:
    reply = Reply(200, b"{}")
    reply.headers["X-Session"] = value
    with pytest.raises(ValueError, match="a line break"):
        await reply.prepare(make_mocked_request("GET", "/"))
