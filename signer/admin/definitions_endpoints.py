"""`POST /-/reload` reloads the definitions and the certificate; `/-/definitions` shows the active ones."""

import asyncio

from signer.clock import rfc3339
from signer.definitions.diff import printable_sections
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler
from signer.live.reload_result import ReloadResult
from signer.live.reloader import Reloader
from signer.revision import Context


async def show_definitions(context: Context) -> Reply:
    """Return the active settings of each section with secrets masked, for `check --diff`."""
    return json_reply(await asyncio.to_thread(printable_sections, context.revision.registry))


def reload_handler(reloader: Reloader) -> Handler:
    """Return the handler of `/-/reload`."""

    async def reload(_context: Context) -> Reply:
        """Return 200, 422 for mistakes or an unusable certificate, or 503 if the store gives no definitions."""
        result = await reloader.reload("request")
        status = 200 if result.succeeded else 422 if result.mistakes else 503
        document = reload_members(result)
        if reloader.certificate is not None:
            document["certificate_error"] = error = reloader.certificate.error
            status = 422 if error is not None and status == 200 else status
        return json_reply(document, status)

    return reload


def reload_members(result: ReloadResult) -> dict[str, object]:
    """Return the JSON members of a reload's result."""
    return {
        "at": rfc3339(result.at),
        "trigger": result.trigger,
        "succeeded": result.succeeded,
        "revision": result.revision,
        "changes": result.changes,
        "needs_restart": result.needs_restart,
        "mistakes": [mistake.members() for mistake in result.mistakes],
        "error": result.error,
        "retrying": result.is_retrying,
    }
