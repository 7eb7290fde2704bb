"""What the service asks of others over HTTP: one pool of connections, and answers of bounded size."""

from __future__ import annotations

import aiohttp

_CONNECTIONS_A_HOST = 64
_CHUNK_BYTES = 16 * 1024


def new_session() -> aiohttp.ClientSession:
    """Cookies are not kept, proxies of the environment are not used. Close it in the loop that it was made in.

    Only the connections to one host are counted, so that a host that hangs holds up nobody who asks another one.
    Answers stay as they were sent: a compressed one could be far larger than it looks.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=_CONNECTIONS_A_HOST),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "oss-signer"},
    )


async def whole_body(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Raises ValueError for a body that is larger."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > most_bytes:
            raise ValueError(f"the answer is larger than {most_bytes} bytes")
    return bytes(body)
