"""`/healthz`: whether the process responds at all."""

from __future__ import annotations

from signer.http.reply import TEXT, Reply
from signer.revision import Context


async def healthz(_context: Context) -> Reply:
    """Return 200."""
    return Reply(200, b"ok\n", TEXT)
