"""JSON requests to the local cloud's own control paths, and the response to a malformed one."""

from typing import Any

from aiohttp import web


async def read_json(request: web.Request) -> Any:
    """Return the JSON body; None if it is not JSON, or nested too deeply."""
    try:
        return await request.json()
    except (ValueError, RecursionError):
        return None


def bad_request(reason: str) -> web.Response:
    """Return a response with status 400."""
    return web.json_response({"error": reason}, status=400)
