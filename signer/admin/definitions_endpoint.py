"""`/-/definitions`: the active definitions with secrets masked, for `check --diff`."""

from __future__ import annotations

import asyncio

from signer.definitions.diff import printable_sections
from signer.http.reply import Reply, json_reply
from signer.revision import Context


async def definitions(context: Context) -> Reply:
    """Return the settings of each section."""
    return json_reply(await asyncio.to_thread(printable_sections, context.revision.registry))
