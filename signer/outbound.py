"""What the service asks of others over HTTP: one pool of connections, and answers of bounded size."""

from __future__ import annotations

import aiohttp

_CONNECTIONS = 100
_CHUNK_BYTES = 16 * 1024


def new_session() -> aiohttp.ClientSession:
    """Cookies are not kept, proxies of the environment are not used. Close it in the loop that it was made in."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )


async def whole_body(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Raises ValueError for a body that is larger."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > most_bytes:
            raise ValueError(f"the answer is larger than {most_bytes} bytes")
    return bytes(body)
