"""HTTP requests to other services: one connection pool, and response bodies of limited size."""

from __future__ import annotations

import aiohttp

_MAX_CONNECTIONS_PER_HOST = 64
_CHUNK_BYTES = 64 * 1024


class ResponseTooLarge(ValueError):
    """A response body is larger than allowed."""


def new_session() -> aiohttp.ClientSession:
    """Return a session without cookies and proxies; close it in the event loop that created it.

    Only the connections per host are limited, so that a host that hangs does not delay requests to others. Compressed
    responses are not requested and not decompressed: a small one could have a huge content.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=_MAX_CONNECTIONS_PER_HOST),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "oss-signer"},
    )


async def read_response(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body of a response.

    Raises:
        ResponseTooLarge: the body is larger than `max_bytes`; the rest of it is not read.
    """
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            raise ResponseTooLarge(f"the response is larger than {max_bytes} bytes")
    return bytes(body)
